//! A Mastodon server's description of itself and its accounts, with every field that its documentation names.

use serde_json::{Value, json};

const HOST: &str = "here.example";
const TITLE: &str = "A made-up server";

/// `GET /api/v2/instance`; `streaming` is its streaming address.
pub(super) fn instance(streaming: Option<&str>) -> Value {
    let urls = streaming.map_or(json!({}), |streaming| json!({"streaming": streaming}));
    let mut configuration = configuration();
    configuration["urls"] = urls;
    configuration["vapid"] = json!({"public_key": "bWFkZSB1cA=="});
    configuration["translation"] = json!({"enabled": false});
    configuration["limited_federation"] = false.into();
    let feed = json!({"local": "public", "remote": "public"});
    configuration["timelines_access"] = json!({"live_feeds": feed, "hashtag_feeds": feed, "trending_link_feeds": {"local": "disabled", "remote": "disabled"}});
    json!({
        "domain": HOST, "title": TITLE, "version": "4.5.0", "source_url": format!("https://{HOST}/source"),
        "description": TITLE, "usage": {"users": {"active_month": 500}},
        "thumbnail": {"url": picture("thumbnail"), "blurhash": null, "description": "", "versions": {}},
        "icon": [{"src": picture("icon"), "size": "36x36"}], "languages": ["en"], "configuration": configuration,
        "registrations": {"enabled": false, "approval_required": false, "reason_required": false, "message": null,
            "min_age": null, "url": null},
        "api_versions": {"mastodon": 7},
        "contact": {"email": format!("staff@{HOST}"), "account": account(3, HOST)}, "rules": rules(),
        "wrapstodon": null,
    })
}

/// `GET /api/v1/instance`, which older clients ask.
pub(super) fn instance_v1(streaming: Option<&str>) -> Value {
    let urls = streaming.map_or(json!({}), |streaming| json!({"streaming_api": streaming}));
    json!({
        "uri": HOST, "title": TITLE, "short_description": TITLE, "description": "", "email": format!("staff@{HOST}"),
        "version": "4.5.0", "urls": urls, "stats": {"user_count": 500, "status_count": 9000, "domain_count": 2},
        "thumbnail": picture("thumbnail"), "languages": ["en"], "registrations": false, "approval_required": false,
        "invites_enabled": false, "configuration": configuration(), "contact_account": account(3, HOST),
        "rules": rules(),
    })
}

/// The limits, as both versions have them.
fn configuration() -> Value {
    json!({
        "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5, "max_profile_fields": 4,
            "profile_field_name_limit": 255, "profile_field_value_limit": 255, "max_display_name_length": 30,
            "max_note_length": 500, "max_avatar_description_length": 150, "max_header_description_length": 150,
            "avatar_size_limit": 8_388_608, "header_size_limit": 8_388_608},
        "statuses": {"max_characters": 500, "max_media_attachments": 4, "characters_reserved_per_url": 23},
        "media_attachments": {"supported_mime_types": ["image/png"], "description_limit": 1500,
            "image_size_limit": 16_777_216, "image_matrix_limit": 33_177_600, "video_size_limit": 103_809_024,
            "video_frame_rate_limit": 120, "video_matrix_limit": 8_294_400},
        "polls": {"max_options": 4, "max_characters_per_option": 50, "min_expiration": 300,
            "max_expiration": 2_629_746},
    })
}

fn rules() -> Value {
    json!([{"id": "1", "text": "Be kind", "hint": "", "translations": {}}])
}

fn picture(name: &str) -> String {
    format!("https://{HOST}/{name}.png")
}

/// An account. Only those of other servers have their host in `acct`.
pub(super) fn account(author: u64, host: &str) -> Value {
    let name = format!("u{author}");
    let acct = if host == HOST { name.clone() } else { format!("{name}@{host}") };
    json!({
        "id": author.to_string(), "username": name, "acct": acct, "display_name": name, "locked": false, "bot": false,
        "discoverable": true, "indexable": false, "group": false, "created_at": "2022-10-31T00:00:00.000Z", "note": "",
        "url": format!("https://{host}/@{name}"), "uri": format!("https://{host}/users/{name}"),
        "avatar": picture("avatar"), "avatar_static": picture("avatar"), "header": picture("header"),
        "header_static": picture("header"), "followers_count": 3, "following_count": 5, "statuses_count": 8,
        "last_status_at": "2026-05-23", "hide_collections": false, "noindex": author.is_multiple_of(50),
        "emojis": [], "roles": [], "fields": [],
    })
}

/// A mention of an account elsewhere.
pub(super) fn mention() -> Value {
    json!({"id": "5", "username": "p", "url": "https://other.example/@p", "acct": "p@other.example"})
}

/// What a link in a status leads to.
pub(super) fn card() -> Value {
    json!({
        "url": "https://video.example/v", "title": "t", "description": "", "language": "en", "type": "link",
        "author_name": "", "author_url": "", "provider_name": "", "provider_url": "", "html": "", "width": 0,
        "height": 0, "image": null, "image_description": "", "embed_url": "", "blurhash": null, "published_at": null,
        "authors": [], "missing_attribution": false,
    })
}
