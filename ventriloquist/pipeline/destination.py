"""Where files would go: who describes them, at which address, and at what price."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ventriloquist.faults import UsageFault
from ventriloquist.media import prices
from ventriloquist.media.captioner import Captioner, Meter
from ventriloquist.media.nearby import places
from ventriloquist.media.prompts import prompts, version
from ventriloquist.media.words import Medium
from ventriloquist.settings import DescribeSettings
from ventriloquist.settings.stages import GEMINI_MODEL, LOCAL_SERVER
from ventriloquist.text import one_line


@dataclass(frozen=True, slots=True)
class Destination:
    """Who describes. `provider` is gemini or openai; `where` is how to call it in a sentence; `stays_here` if
    nothing leaves this machine; `missing` says what it takes before anything can be sent, empty if nothing."""

    provider: Literal["gemini", "openai"]
    model: str
    base_url: str
    where: str
    stays_here: bool
    missing: str
    price: prices.Price | None
    """None where nobody has said what the model costs."""
    prompts: dict[Medium, str]

    @classmethod
    def of(cls, settings: DescribeSettings) -> Destination:
        """The destination that settings name; raises UsageFault where they make no sense."""
        asked = prompts(settings.prompts)
        if settings.provider == "gemini":
            if settings.base_url:
                raise UsageFault("--base-url is for --provider local; Gemini has its own address.")
            model = settings.model or GEMINI_MODEL
            has_key = settings.gemini_api_key.get_secret_value().strip()
            missing = "" if has_key else "put GEMINI_API_KEY into the environment or .env"
            return cls("gemini", model, "", "Google's Gemini", False, missing, _price(settings, model), asked)
        url, where, stays_here = _server(settings.base_url or LOCAL_SERVER)
        free = stays_here and settings.model not in settings.prices
        price = prices.FREE if free else _price(settings, settings.model)
        return cls("openai", settings.model, url, where, stays_here, "", price, asked)

    def prompt_version(self, medium: Medium) -> str:
        """Twelve digits that stand for what is asked of a medium."""
        return version(self.prompts[medium])


def _price(settings: DescribeSettings, model: str) -> prices.Price | None:
    if settings.budget is not None:
        return prices.price_for_budget(model, settings.prices)
    return prices.price_of(model, settings.prices)


def _server(base_url: str) -> tuple[str, str, bool]:
    """A server's whole address, how to call it, and whether it is this machine itself, by its address alone."""
    url = next(places(base_url, allow_remote=True)).url  # looks no name up; what it refuses is no address
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        stays_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        stays_here = host.casefold() == "localhost"
    shown = one_line(parts.netloc, 200)
    return url, f"the server on this machine ({shown})" if stays_here else f"the server at {shown}", stays_here


def captioner_for(settings: DescribeSettings, destination: Destination, meter: Meter) -> Captioner:
    """The captioner that asks there; its libraries are loaded now. Raises a Fault where it cannot be asked."""
    if destination.provider == "gemini":
        from ventriloquist.media import gemini

        return gemini.GeminiCaptioner(
            settings.gemini_api_key.get_secret_value().strip(), destination.model, meter=meter,
            prompts=destination.prompts, concurrency=settings.concurrency, base_url=gemini.ADDRESS,
        )  # fmt: skip
    from ventriloquist.media.openai_compatible import OpenAICompatibleCaptioner

    return OpenAICompatibleCaptioner(
        destination.model, meter=meter, prompts=destination.prompts, base_url=destination.base_url,
        api_key=settings.local_api_key.get_secret_value().strip(), allow_remote=settings.allow_remote,
        concurrency=settings.concurrency,
    )  # fmt: skip
