"""The tables and indexes of `chat.db` as macOS Sequoia (15) has them, and of the address book that goes with it.

Columns, their types, defaults and order are Apple's. Triggers are left out: they call functions that only exist
inside Messages.
"""

from __future__ import annotations

CLIENT_VERSION = "18028"

# Each line is "name TYPE rest", cut at the commas.
_MESSAGE = """
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, text TEXT, replace INTEGER DEFAULT 0,
    service_center TEXT, handle_id INTEGER DEFAULT 0, subject TEXT, country TEXT, attributedBody BLOB,
    version INTEGER DEFAULT 0, type INTEGER DEFAULT 0, service TEXT, account TEXT, account_guid TEXT,
    error INTEGER DEFAULT 0, date INTEGER, date_read INTEGER, date_delivered INTEGER,
    is_delivered INTEGER DEFAULT 0, is_finished INTEGER DEFAULT 0, is_emote INTEGER DEFAULT 0,
    is_from_me INTEGER DEFAULT 0, is_empty INTEGER DEFAULT 0, is_delayed INTEGER DEFAULT 0,
    is_auto_reply INTEGER DEFAULT 0, is_prepared INTEGER DEFAULT 0, is_read INTEGER DEFAULT 0,
    is_system_message INTEGER DEFAULT 0, is_sent INTEGER DEFAULT 0, has_dd_results INTEGER DEFAULT 0,
    is_service_message INTEGER DEFAULT 0, is_forward INTEGER DEFAULT 0, was_downgraded INTEGER DEFAULT 0,
    is_archive INTEGER DEFAULT 0, cache_has_attachments INTEGER DEFAULT 0, cache_roomnames TEXT,
    was_data_detected INTEGER DEFAULT 0, was_deduplicated INTEGER DEFAULT 0, is_audio_message INTEGER DEFAULT 0,
    is_played INTEGER DEFAULT 0, date_played INTEGER, item_type INTEGER DEFAULT 0, other_handle INTEGER DEFAULT 0,
    group_title TEXT, group_action_type INTEGER DEFAULT 0, share_status INTEGER DEFAULT 0,
    share_direction INTEGER DEFAULT 0, is_expirable INTEGER DEFAULT 0, expire_state INTEGER DEFAULT 0,
    message_action_type INTEGER DEFAULT 0, message_source INTEGER DEFAULT 0, associated_message_guid TEXT,
    associated_message_type INTEGER DEFAULT 0, balloon_bundle_id TEXT, payload_data BLOB,
    expressive_send_style_id TEXT, associated_message_range_location INTEGER DEFAULT 0,
    associated_message_range_length INTEGER DEFAULT 0, time_expressive_send_played INTEGER,
    message_summary_info BLOB, ck_sync_state INTEGER DEFAULT 0, ck_record_id TEXT, ck_record_change_tag TEXT,
    destination_caller_id TEXT, is_corrupt INTEGER DEFAULT 0, reply_to_guid TEXT, sort_id INTEGER,
    is_spam INTEGER DEFAULT 0, has_unseen_mention INTEGER DEFAULT 0, thread_originator_guid TEXT,
    thread_originator_part TEXT, syndication_ranges TEXT, synced_syndication_ranges TEXT,
    was_delivered_quietly INTEGER DEFAULT 0, did_notify_recipient INTEGER DEFAULT 0, date_retracted INTEGER,
    date_edited INTEGER, was_detonated INTEGER DEFAULT 0, part_count INTEGER, is_stewie INTEGER DEFAULT 0,
    is_sos INTEGER DEFAULT 0, is_critical INTEGER DEFAULT 0, bia_reference_id TEXT DEFAULT NULL,
    is_kt_verified INTEGER DEFAULT 0, fallback_hash TEXT DEFAULT NULL, associated_message_emoji TEXT DEFAULT NULL,
    is_pending_satellite_send INTEGER DEFAULT 0, needs_relay INTEGER DEFAULT 0, schedule_type INTEGER DEFAULT 0,
    schedule_state INTEGER DEFAULT 0, sent_or_received_off_grid INTEGER DEFAULT 0,
    date_recovered INTEGER DEFAULT 0
"""
_CHAT = """
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, style INTEGER, state INTEGER,
    account_id TEXT, properties BLOB, chat_identifier TEXT, service_name TEXT, room_name TEXT, account_login TEXT,
    is_archived INTEGER DEFAULT 0, last_addressed_handle TEXT, display_name TEXT, group_id TEXT,
    is_filtered INTEGER DEFAULT 0, successful_query INTEGER, engram_id TEXT, server_change_token TEXT,
    ck_sync_state INTEGER DEFAULT 0, original_group_id TEXT, last_read_message_timestamp INTEGER DEFAULT 0,
    cloudkit_record_id TEXT, last_addressed_sim_id TEXT, is_blackholed INTEGER DEFAULT 0,
    syndication_date INTEGER DEFAULT 0, syndication_type INTEGER DEFAULT 0, is_recovered INTEGER DEFAULT 0,
    is_deleting_incoming_messages INTEGER DEFAULT 0
"""
_HANDLE = """
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, id TEXT NOT NULL, country TEXT, service TEXT NOT NULL,
    uncanonicalized_id TEXT, person_centric_id TEXT, UNIQUE (id, service)
"""
_ATTACHMENT = """
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, created_date INTEGER DEFAULT 0,
    start_date INTEGER DEFAULT 0, filename TEXT, uti TEXT, mime_type TEXT, transfer_state INTEGER DEFAULT 0,
    is_outgoing INTEGER DEFAULT 0, user_info BLOB, transfer_name TEXT, total_bytes INTEGER DEFAULT 0,
    is_sticker INTEGER DEFAULT 0, sticker_user_info BLOB, attribution_info BLOB,
    hide_attachment INTEGER DEFAULT 0, ck_sync_state INTEGER DEFAULT 0, ck_server_change_token_blob BLOB,
    ck_record_id TEXT, original_guid TEXT UNIQUE NOT NULL, sr_ck_sync_state INTEGER DEFAULT 0,
    sr_ck_server_change_token_blob BLOB, sr_ck_record_id TEXT, is_commsafety_sensitive INTEGER DEFAULT 0,
    emoji_image_content_identifier TEXT DEFAULT NULL, emoji_image_short_description TEXT DEFAULT NULL
"""
_CHAT_ID = "chat_id INTEGER REFERENCES chat (ROWID) ON DELETE CASCADE"
_MESSAGE_ID = "message_id INTEGER REFERENCES message (ROWID) ON DELETE CASCADE"
_HANDLE_ID = "handle_id INTEGER REFERENCES handle (ROWID) ON DELETE CASCADE"
_ATTACHMENT_ID = "attachment_id INTEGER REFERENCES attachment (ROWID) ON DELETE CASCADE"
_NUMBERED = "ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE"

TABLES: dict[str, str] = {
    "_SqliteDatabaseProperties": "key TEXT, value TEXT, UNIQUE(key)",
    "deleted_messages": f"{_NUMBERED}, guid TEXT NOT NULL",
    "message": _MESSAGE,
    "chat": _CHAT,
    "attachment": _ATTACHMENT,
    "handle": _HANDLE,
    "chat_handle_join": f"{_CHAT_ID}, {_HANDLE_ID}, UNIQUE(chat_id, handle_id)",
    "chat_message_join": (
        f"{_CHAT_ID}, {_MESSAGE_ID}, message_date INTEGER DEFAULT 0, PRIMARY KEY (chat_id, message_id)"
    ),
    "message_attachment_join": f"{_MESSAGE_ID}, {_ATTACHMENT_ID}, UNIQUE(message_id, attachment_id)",
    "chat_recoverable_message_join": (
        f"{_CHAT_ID}, {_MESSAGE_ID}, delete_date INTEGER, ck_sync_state INTEGER DEFAULT 0, "
        "PRIMARY KEY (chat_id, message_id), CHECK (delete_date != 0)"
    ),
    "recoverable_message_part": (
        f"{_CHAT_ID}, {_MESSAGE_ID}, part_index INTEGER, delete_date INTEGER, part_text BLOB NOT NULL, "
        "ck_sync_state INTEGER DEFAULT 0, PRIMARY KEY (chat_id, message_id, part_index), CHECK (delete_date != 0)"
    ),
    "unsynced_removed_recoverable_messages": (
        f"{_NUMBERED}, chat_guid TEXT NOT NULL, message_guid TEXT NOT NULL, part_index INTEGER"
    ),
    "message_processing_task": f"{_NUMBERED}, guid TEXT NOT NULL, task_flags INTEGER NOT NULL",
    "sync_deleted_messages": f"{_NUMBERED}, guid TEXT NOT NULL, recordID TEXT",
    "sync_deleted_chats": f"{_NUMBERED}, guid TEXT NOT NULL, recordID TEXT, timestamp INTEGER",
    "sync_deleted_attachments": f"{_NUMBERED}, guid TEXT NOT NULL, recordID TEXT",
    "scheduled_messages_pending_cloudkit_delete": f"{_NUMBERED}, guid TEXT NOT NULL, recordID TEXT",
    "kvtable": f"{_NUMBERED}, key TEXT UNIQUE NOT NULL, value BLOB NOT NULL",
}

# index name -> table(columns), with a WHERE clause where Apple's has one
INDEXES: dict[str, str] = {
    "message_idx_date": "message(date)",
    "message_idx_handle": "message(handle_id, date)",
    "message_idx_handle_id": "message(handle_id)",
    "message_idx_other_handle": "message(other_handle)",
    "message_idx_failed": "message(is_finished, is_from_me, error)",
    "message_idx_is_read": "message(is_read, is_from_me, is_finished)",
    "message_idx_is_sent_is_from_me_error": "message(is_sent, is_from_me, error)",
    "message_idx_isRead_isFromMe_itemType": "message(is_read, is_from_me, item_type)",
    "message_idx_was_downgraded": "message(was_downgraded)",
    "message_idx_expire_state": "message(expire_state)",
    "message_idx_cache_has_attachments": "message(cache_has_attachments)",
    "message_idx_thread_originator_guid": "message(thread_originator_guid)",
    "message_idx_schedule_state": "message(schedule_state)",
    "message_idx_associated_message2": ("message(associated_message_guid) WHERE associated_message_guid IS NOT NULL"),
    "message_idx_fallback_hash": "message(fallback_hash) WHERE fallback_hash IS NOT NULL",
    "message_idx_is_pending_satellite_message": (
        "message(is_pending_satellite_send) WHERE is_pending_satellite_send=1"
    ),
    "message_idx_undelivered_one_to_one_imessage": (
        "message(cache_roomnames, service, is_sent, is_delivered, was_downgraded, item_type) "
        "WHERE cache_roomnames IS NULL AND service IN ('iMessage','RCS') AND is_sent = 1 AND is_delivered = 0 "
        "AND was_downgraded = 0 AND item_type == 0 AND schedule_type == 0"
    ),
    "chat_idx_chat_identifier": "chat(chat_identifier)",
    "chat_idx_chat_identifier_service_name": "chat(chat_identifier, service_name)",
    "chat_idx_chat_room_name_service_name": "chat(room_name, service_name)",
    "chat_idx_group_id": "chat(group_id)",
    "chat_idx_is_archived": "chat(is_archived)",
    "chat_handle_join_idx_handle_id": "chat_handle_join(handle_id)",
    "chat_message_join_idx_chat_id": "chat_message_join(chat_id)",
    "chat_message_join_idx_message_id_only": "chat_message_join(message_id)",
    "chat_message_join_idx_message_date_id_chat_id": "chat_message_join(chat_id, message_date, message_id)",
    "chat_recoverable_message_join_message_id_idx": "chat_recoverable_message_join(message_id)",
    "message_attachment_join_idx_message_id": "message_attachment_join(message_id)",
    "message_attachment_join_idx_attachment_id": "message_attachment_join(attachment_id)",
    "message_processing_task_idx_guid_task_flags": "message_processing_task(guid, task_flags)",
    "attachment_idx_is_sticker": "attachment(is_sticker)",
    "attachment_idx_purged_attachments_v2": (
        "attachment(hide_attachment, ck_sync_state, transfer_state) "
        "WHERE hide_attachment=0 AND (ck_sync_state=1 OR ck_sync_state=4) AND transfer_state=0"
    ),
    "handle_idx_id": "handle(id, rowid)",
}

# The part of Contacts' Core Data store that holds names, numbers and addresses.
ADDRESS_BOOK: dict[str, str] = {
    "Z_PRIMARYKEY": "Z_ENT INTEGER PRIMARY KEY, Z_NAME VARCHAR, Z_SUPER INTEGER, Z_MAX INTEGER",
    "ZABCDRECORD": (
        "Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZCONTAINERWHERECONTACTISME INTEGER, "
        "ZCREATIONDATE TIMESTAMP, ZMODIFICATIONDATE TIMESTAMP, ZFIRSTNAME VARCHAR, ZLASTNAME VARCHAR, "
        "ZMIDDLENAME VARCHAR, ZNICKNAME VARCHAR, ZORGANIZATION VARCHAR, ZUNIQUEID VARCHAR"
    ),
    "ZABCDPHONENUMBER": (
        "Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZISPRIMARY INTEGER, ZORDERINGINDEX INTEGER, "
        "ZOWNER INTEGER, ZFULLNUMBER VARCHAR, ZLABEL VARCHAR, ZUNIQUEID VARCHAR"
    ),
    "ZABCDEMAILADDRESS": (
        "Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZISPRIMARY INTEGER, ZORDERINGINDEX INTEGER, "
        "ZOWNER INTEGER, ZADDRESS VARCHAR, ZADDRESSNORMALIZED VARCHAR, ZLABEL VARCHAR, ZUNIQUEID VARCHAR"
    ),
}


def statements(tables: dict[str, str], indexes: dict[str, str] | None = None) -> list[str]:
    """The CREATE statements, tables first."""
    made = [f"CREATE TABLE {name} ({columns.strip()})" for name, columns in tables.items()]
    return made + [f"CREATE INDEX {name} ON {on}" for name, on in (indexes or {}).items()]
