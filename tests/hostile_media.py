"""Files that attack whatever reads them, each with a name, and a program that gives them all to every conversion.

    python -m tests.hostile_media write FOLDER PORT
    python -m tests.hostile_media convert FOLDER

The second prints one JSON object for each conversion, and at the end the most memory that it and any child took. They
are two programs, since some of the files take more memory to write than they may take to read.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import struct
import sys
import time
import zipfile
import zlib
from pathlib import Path

from tests import document_samples as documents
from tests import media_samples as samples

FOREIGN = "CANARY-of-a-foreign-file"
MEDIA = ("image", "video", "audio", "pdf", "text")


def write_all(folder: Path, port: int) -> None:
    """Every hostile file into a folder of its own, and beside it `foreign`, with files that none may read."""
    foreign = folder / "foreign"
    foreign.mkdir(parents=True)
    (foreign / "secret.txt").write_text(FOREIGN)
    samples.video(foreign / "secret.mp4")
    hostile = folder / "hostile"
    hostile.mkdir()
    samples.jpeg(folder / "whole.jpg")
    samples.heic(folder / "whole.heic")
    samples.video(folder / "whole.mp4")
    for name, content in {**_pictures(folder), **_recordings(folder), **_documents(folder)}.items():
        (hostile / name).write_bytes(content)
    for name, text in pointers(foreign, port).items():
        (hostile / name).write_text(text)
    _zip_files(hostile)
    _no_files(hostile, foreign)
    (folder / "scratch").mkdir()


def _pictures(folder: Path) -> dict[str, bytes]:
    jpeg, heic = (folder / "whole.jpg").read_bytes(), (folder / "whole.heic").read_bytes()
    sizes = b"\xc3\x50\xc3\x50"  # 50,000 and 50,000
    start = jpeg.index(b"\xff\xc0")
    ispe = heic.index(b"ispe")
    profile = b"iCCPx\0\0" + zlib.compress(bytes(200_000_000), 1)
    return {
        "bomb.png": samples.png_of(50_000),
        "bomb.jpg": jpeg[: start + 5] + sizes + jpeg[start + 9 :],
        "bomb.gif": b"GIF89a" + struct.pack("<HH", 50_000, 50_000) + _GIF_AFTER_SIZE,
        "bomb.webp": _webp(50_000),
        "bomb.tif": _tiff(50_000),
        "bomb.bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "bomb.heic": heic[: ispe + 8] + struct.pack(">II", 50_000, 50_000) + heic[ispe + 16 :],
        "grid.heic": heic.replace(b"hvc1", b"grid", 1),
        "real-bomb.png": samples.png_of(30_000, zlib.compress(bytes(30_000 * 3_751), 1)),
        "frames.gif": b"GIF89a" + struct.pack("<HH", 9, 9) + _GIF_AFTER_SIZE[:-1] + _GIF_FRAME * 100_000 + b";",
        "profile-bomb.png": samples.png_of(8, chunk=profile),
        "loop.tif": _tiff(8, following=8),
        "truncated-10.jpg": jpeg[:10],
        "truncated-700.jpg": jpeg[:700],
        "truncated-half.jpg": jpeg[: len(jpeg) // 2],
        "truncated-half.heic": heic[: len(heic) // 2],
        "exif-loop.jpg": b"\xff\xd8\xff\xe1\x00\x22Exif\0\0" + b"MM\0*\0\0\0\x08\0\x01\x87i\0\x04\0\0\0\x01\0\0\0\x08"
        + b"\0\0\0\x08" + jpeg[2:],
        "picture.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file",
        "picture.fits": b"SIMPLE  =                    T" + b" " * 2850,
        "zip-inside.jpg": jpeg + _zip_bomb(),
        "wrong-suffix.mov": jpeg,
        "text.heic": b"hello",
        "empty.jpg": b"",
        "script.gif": b"GIF89a/*\0\0*/=1;alert(1)//" + bytes(200),
    }  # fmt: skip


def _recordings(folder: Path) -> dict[str, bytes]:
    video = (folder / "whole.mp4").read_bytes()
    moov = video.index(b"moov")
    tag = b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + b"APIC" + struct.pack(">I", 250_000_000) + b"\0\0" + bytes(3_000_000)
    return {
        "-i.mp4": video,
        "video.jpg": video,
        "huge-moov.mp4": video[: moov - 4] + b"\x7f\xff\xff\xff" + video[moov:],
        "huge-moov-64.mp4": video[: moov - 4] + b"\0\0\0\x01moov" + b"\x7f" * 8 + video[moov + 4 :],
        "truncated-100.mp4": video[:100],
        "truncated-half.mp4": video[: len(video) // 2],
        "truncated-end.mp4": video[:-300],
        "absurd.avi": _avi(65_535),
        "giant-picture.mp3": tag,
        "endless.wav": b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0" + struct.pack("<IIHH", 8000, 16000, 2, 16)
        + b"data\xff\xff\xff\xff" + bytes(4000),
        "absurd-rate.wav": b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0\x01\0\xff\xff" + struct.pack("<IIHH", 2**31, 1, 1, 8)
        + b"data\xff\xff\0\0" + bytes(4000),
        "negative.caf": b"caff\0\x01\0\0desc" + struct.pack(">q", -1) + bytes(200),
        "noise.amr": b"#!AMR\n" + random.Random(1).randbytes(5000),
        "noise.mp3": random.Random(2).randbytes(50_000),
        "nested.mkv": b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 5000,
        "alias.mov": video.replace(b"url ", b"alis"),
    }  # fmt: skip


def _documents(folder: Path) -> dict[str, bytes]:
    pdf = documents.pdf_with_words(folder / "whole.pdf").read_bytes()
    packed = zlib.compress(bytes(1_050_000_000), 1)
    stream = b"<</Length %d/Filter/FlateDecode>>stream\n" % len(packed) + packed + b"\nendstream"
    return {
        "launch.pdf": _pdf(b"<</Length 4>>stream\nq Q \nendstream", b"/OpenAction<</S/Launch/F(/bin/sh)>>"),
        "external.pdf": _pdf(b"<</Length 0/F(%s)>>stream\n\nendstream" % bytes(folder / "foreign" / "secret.txt")),
        "bomb.pdf": _pdf(stream),
        "circular.pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]"
        b"/Count 999999999/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R/Prev 9>>",
        "truncated.pdf": pdf[: len(pdf) // 2],
        "picture-first.pdf": (folder / "whole.jpg").read_bytes()[:600] + pdf,
        "deep.pdf": b"%PDF-1.4\n1 0 obj" + b"[" * 100_000,
        "deep.rtf": b"{\\rtf1" + b"{" * 500_000,
        "hex.rtf": b"{\\rtf1 {\\object\\objdata " + b"41" * 1_000_000 + b"}" + b"\\u-1 \\uc99999999999 \\'zz",
        "deep.html": b"<html>" + b"<div>" * 500_000 + b"&lol;" * 1000,
        "zeros.txt": bytes(5_000_000),
        "one-line.csv": b"a" * 50_000_000,
    }  # fmt: skip


def pointers(foreign: Path, port: int) -> dict[str, str]:
    """Texts that name a port of this machine or files that are none of theirs."""
    video, text = foreign / "secret.mp4", foreign / "secret.txt"
    listed = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    port_list, file_list = listed.format(f"http://127.0.0.1:{port}/a.ts"), listed.format(f"file://{video}")
    password_list = listed.format("file:///etc/passwd")
    entities = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{text}"><!ENTITY y SYSTEM "http://127.0.0.1:{port}/e">]>'
    return {
        "list-port.m3u8": port_list, "list-port.mp4": port_list, "list-port.mov": port_list, "list-port.mp3": port_list,
        "list-file.m3u8": file_list, "list-file.mp4": file_list, "list-password.mp3": password_list,
        "concat.mov": f"ffconcat version 1.0\nfile '{video}'\n", "concat.txt.mp4": f"file '{video}'\n",
        "dash.mp4": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation>'
        f"<BaseURL>http://127.0.0.1:{port}/d.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp.mov": f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "entities.svg": f'{entities}<svg xmlns="http://www.w3.org/2000/svg"><text>&x;&y;</text></svg>',
        "picture.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{text}"/></svg>',
        "page.html": f'<html><base href="http://127.0.0.1:{port}/"><img src="x"><iframe src="file://{text}"></iframe>',
        "include.tex": f"\\input{{{text}}}",
    }  # fmt: skip


def _zip_files(hostile: Path) -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "lol">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    spaces = b" " * 300_000_000
    documents.zipped(hostile / "bomb.docx", {"word/document.xml": b"<a>" + spaces + b"</a>"})
    documents.zipped(hostile / "words-bomb.docx", {"word/document.xml": b"<a><t>" + b"ha" * 100_000_000 + b"</t></a>"})
    documents.zipped(hostile / "laughs.docx", {"word/document.xml": f"{laughs}]><a><t>&i;</t></a>"})
    sheet = f'{laughs}<!ENTITY x SYSTEM "file:///etc/passwd">]><a><row><c><v>&i;&x;</v></c></row></a>'
    documents.zipped(hostile / "laughs.xlsx", {"xl/workbook.xml": "<a/>", "xl/worksheets/sheet1.xml": sheet})
    documents.zipped(hostile / "deep.docx", {"word/document.xml": "<a>" * 2_000_000})
    documents.zipped(hostile / "links.odt", {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<"})
    documents.zipped(hostile / "preview-bomb.pages", {"Index/a.iwa": b"", "preview.jpg": samples.png_of(50_000)})
    documents.zipped(hostile / "members.docx", {f"../../{number}": b"" for number in range(60_000)})
    content = bytearray((hostile / "laughs.docx").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (hostile / "encrypted.docx").write_bytes(content)
    (hostile / "shell.docx").write_bytes(documents.docx(hostile / "shell.zip").read_bytes()[:-40])


def _no_files(hostile: Path, foreign: Path) -> None:
    os.mkfifo(hostile / "pipe.jpg")
    (hostile / "folder.mov").mkdir()
    (hostile / "link.mp4").symlink_to(foreign / "secret.mp4")
    (hostile / "link.txt").symlink_to(foreign / "secret.txt")
    (hostile / "through").symlink_to(foreign)
    with (hostile / "sparse.mov").open("wb") as file:
        file.write(b"\0\0\0\x14ftypqt  \0\0\0\0qt  \xff\xff\xff\xf0moov")
        file.truncate(3_000_000_000)


_GIF_AFTER_SIZE = b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
_GIF_FRAME = b"!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"


def _webp(pixels: int) -> bytes:
    size = struct.pack("<I", pixels - 1)[:3]
    body = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0" + size * 2 + b"ANIM\x06\0\0\0" + bytes(6) + b"ANMF" + bytes(40)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(pixels: int, following: int = 0) -> bytes:
    tags = [(256, 4, 1, pixels), (257, 4, 1, pixels), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, pixels), (279, 4, 1, pixels * pixels % 2**32)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def _avi(pixels: int) -> bytes:
    header = b"avih" + struct.pack("<I14I", 56, 1, 0, 0, 0, 2**31, 0, 1, 0, pixels, pixels, 0, 0, 0, 0)
    stream = (
        b"strh" + struct.pack("<I", 56) + b"vidsMJPG" + bytes(16) + struct.pack("<IIII", 1, 1, 0, 2**31) + bytes(16)
    )
    form = b"strf" + struct.pack("<IIiiHH", 40, 40, pixels, pixels, 1, 24) + b"MJPG" + bytes(20)
    lists = b"LIST" + struct.pack("<I", 4 + len(stream) + len(form)) + b"strl" + stream + form
    movie = b"LIST" + struct.pack("<I", 2**31) + b"movi00dc" + struct.pack("<I", 2**31) + b"\xff\xd8" + bytes(500)
    hdrl = b"LIST" + struct.pack("<I", 4 + len(header) + len(lists)) + b"hdrl" + header + lists
    return b"RIFF" + struct.pack("<I", 2**31) + b"AVI " + hdrl + movie


def _zip_bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", bytes(50_000_000))
    return stream.getvalue()


def _pdf(content: bytes, catalog: bytes = b"") -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R" + catalog + b">>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>", content,
    ]  # fmt: skip
    document, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(document))
        document += b"%d 0 obj" % number + each + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(document)
    return document + b"xref\n0 5\n0000000000 65535 f \n" + table + end


def media_for(path: Path) -> tuple[str, ...]:
    """Every conversion; that of PDFs, which refuses whatever does not say that it is one, only for a few more."""
    is_pdf = path.suffix == ".pdf"
    return MEDIA if is_pdf or path.suffix in ("", ".docx", ".svg") else tuple(each for each in MEDIA if each != "pdf")


def convert_all(folder: Path) -> None:
    """Give every file to every conversion, whatever its name says, and print what came of it."""
    from ventriloquist.media import convert

    scratch, hostile = folder / "scratch", folder / "hostile"
    more = [Path("/dev/zero"), Path("/dev/random"), hostile / "through" / "secret.txt", hostile / ".." / "whole.jpg"]
    for path in [*sorted(hostile.iterdir()), *more]:
        for medium in media_for(path):
            started, made, reason = time.monotonic(), b"", ""
            try:
                material = convert.convert(str(path), medium, scratch)  # type: ignore[arg-type]
                made = material.content + b"".join(material.frames)
            except convert.Unconvertible as failure:
                reason = failure.reason
            told = {"file": path.name, "medium": medium, "reason": reason, "bytes": len(made)}
            told |= {"seconds": time.monotonic() - started, "foreign": FOREIGN.encode() in made}
            print(json.dumps(told), flush=True)
    convert.release()
    unit = 1 if sys.platform == "darwin" else 1024
    most = [resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit, _own_peak(unit)]
    print(json.dumps({"children": most[0], "parent": most[1], "left": len(list(scratch.iterdir()))}))


def _own_peak(unit: int) -> int:
    """The most memory this process took, in bytes. What Linux counts for it from the start is also what whoever started
    it had taken; what stands in its status is its own."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_all(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        convert_all(Path(sys.argv[2]))
