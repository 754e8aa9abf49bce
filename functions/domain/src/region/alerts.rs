//! The `[[alert]]` tables of the regions file, read and checked.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::Region;
use super::config::{Mistake, all, checked, checked_id};
use crate::alert::{Alert, Email, MAX_ALERTS, QuietHours, Value, Webhook};
use crate::event::EventKind;
use crate::event::text::{Language, UtcOffset, parse_clock};
use crate::trend::Sensitivity;

/// Longest cool-down, in seconds: a week.
const MAX_COOL_DOWN_SECS: u64 = 7 * 86_400;
/// Most receivers of a mail.
const MAX_RECEIVERS: usize = 20;
/// Longest address, in characters.
const MAX_ADDRESS_CHARS: usize = 2_000;
/// Hosts whose addresses of webhooks are secrets themselves.
const SECRET_HOSTS: [&str; 6] = [
    "hooks.slack.com",
    "discord.com",
    "discordapp.com",
    "webhook.office.com",
    "chat.googleapis.com",
    "hooks.zapier.com",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlert {
    id: Spanned<String>,
    #[serde(default)]
    regions: Vec<Spanned<String>>,
    kinds: Option<Vec<Spanned<String>>>,
    sensitivity: Option<Spanned<String>>,
    minimum: Option<Spanned<i64>>,
    quiet_hours: Option<Spanned<String>>,
    time_zone: Option<Spanned<String>>,
    cool_down: Option<Spanned<String>>,
    #[serde(default)]
    resolved: bool,
    language: Option<Spanned<String>>,
    daily: Option<Spanned<String>>,
    webhook: Option<RawWebhook>,
    email: Option<RawEmail>,
    #[serde(default)]
    sns: bool,
    #[serde(default)]
    log: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: Spanned<String>,
    secret: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmail {
    to: Spanned<OneOrMore>,
    from: Spanned<String>,
    smtp: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

type Found<T> = Result<T, (Range<usize>, Mistake)>;

/// Checks the alerts of a file.
pub(super) fn read(raw: Vec<Spanned<RawAlert>>, regions: &[Region]) -> Found<Vec<Alert>> {
    let mut alerts: Vec<Alert> = vec![];
    for spanned in raw {
        let whole = spanned.span();
        let raw = spanned.into_inner();
        let (id_span, id) = checked(raw.id, checked_id)?;
        if alerts.iter().any(|alert| alert.id == id) {
            let mistake = (format!("the id {id:?} is used twice"), "use each id for one alert only".into());
            return Err((id_span, mistake));
        }
        if alerts.len() == MAX_ALERTS {
            let mistake =
                (format!("there are more than {MAX_ALERTS} alerts"), "let alerts watch several regions".into());
            return Err((whole, mistake));
        }
        let default = Alert::default();
        let alert = Alert {
            regions: all(raw.regions, |id| checked_region(id, regions))?,
            kinds: match raw.kinds {
                Some(kinds) if kinds.is_empty() => {
                    let remedy = "leave out kinds for rising, spike, drop and silence, or name some";
                    return Err((whole, (format!("the alert {id:?} has no kinds"), remedy.into())));
                }
                Some(kinds) => all(kinds, checked_kind)?,
                None => default.kinds,
            },
            sensitivity: of(raw.sensitivity, checked_sensitivity)?.unwrap_or_default(),
            minimum: of(raw.minimum, checked_minimum)?.unwrap_or(0),
            quiet_hours: of(raw.quiet_hours, |text| checked_quiet_hours(&text))?,
            time_zone: of(raw.time_zone, |text| checked_zone(&text))?.unwrap_or_default(),
            cool_down_ms: of(raw.cool_down, |text| checked_cool_down(&text))?.unwrap_or(default.cool_down_ms),
            resolved: raw.resolved,
            language: of(raw.language, |code| checked_language(&code))?.unwrap_or_default(),
            daily: of(raw.daily, |text| checked_daily(&text))?,
            webhook: match raw.webhook {
                Some(webhook) => Some(Webhook {
                    url: checked(webhook.url, checked_url)?.1,
                    secret: of(webhook.secret, checked_secret)?,
                }),
                None => None,
            },
            email: match raw.email {
                Some(email) => Some(Email {
                    to: checked(email.to, checked_receivers)?.1,
                    from: checked(email.from, checked_address)?.1,
                    smtp: checked(email.smtp, checked_smtp)?.1,
                }),
                None => None,
            },
            sns: raw.sns,
            log: raw.log,
            id,
        };
        if alert.webhook.is_none() && alert.email.is_none() && !alert.sns && !alert.log {
            let remedy = "add webhook = { url = \"$NAME\" }, email = { … }, sns = true or log = true";
            return Err((whole, (format!("the alert {:?} has no channel", alert.id), remedy.into())));
        }
        alerts.push(alert);
    }
    Ok(alerts)
}

fn of<T, U>(spanned: Option<Spanned<T>>, check: impl Fn(T) -> Result<U, Mistake>) -> Found<Option<U>> {
    spanned.map(|spanned| checked(spanned, check).map(|(_, item)| item)).transpose()
}

fn checked_region(id: String, regions: &[Region]) -> Result<String, Mistake> {
    if regions.iter().any(|region| region.id == id) {
        return Ok(id);
    }
    let known: Vec<_> = regions.iter().take(20).map(|region| &*region.id).collect();
    Err((format!("there is no region {id:?} in this file"), format!("use one of: {}", known.join(", "))))
}

fn checked_kind(name: String) -> Result<EventKind, Mistake> {
    EventKind::parse(&name).ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::as_str).join(", ");
        (format!("there is no kind {name:?} of events"), format!("use some of: {known}"))
    })
}

fn checked_sensitivity(name: String) -> Result<Sensitivity, Mistake> {
    let remedy = "use \"balanced\", \"sensitive\" or \"strict\"";
    Sensitivity::parse(&name).ok_or_else(|| (format!("there is no sensitivity {name:?}"), remedy.into()))
}

fn checked_minimum(posts: i64) -> Result<u64, Mistake> {
    let remedy = "use a number of posts, such as 10";
    u64::try_from(posts).map_err(|_| (format!("minimum = {posts} is not possible"), remedy.into()))
}

fn checked_quiet_hours(text: &str) -> Result<QuietHours, Mistake> {
    let clocks = text.split_once('-').and_then(|(from, to)| Some((parse_clock(from)?, parse_clock(to)?)));
    match clocks {
        Some((from, to)) if from != to => Ok(QuietHours { from, to }),
        _ => {
            let remedy = "write two different times of the day, such as \"22:00-07:00\"";
            Err((format!("the quiet hours {text:?} are not possible"), remedy.into()))
        }
    }
}

fn checked_zone(text: &str) -> Result<UtcOffset, Mistake> {
    UtcOffset::parse(text).map_err(|_| {
        let remedy =
            "write the offset from UTC, such as \"+02:00\", or \"UTC\"; names such as Europe/Paris are not supported";
        (format!("the time zone {text:?} is not possible"), remedy.into())
    })
}

fn checked_cool_down(text: &str) -> Result<i64, Mistake> {
    let secs = text.find(|c: char| !c.is_ascii_digit()).and_then(|at| {
        let unit = match &text[at..] {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        text[..at].parse::<u64>().ok()?.checked_mul(unit)
    });
    match secs.filter(|secs| *secs <= MAX_COOL_DOWN_SECS).and_then(|secs| i64::try_from(secs).ok()) {
        Some(secs) => Ok(secs * 1000),
        None => {
            let remedy = "write a number and a unit, at most seven days: \"30m\", \"2h\" or \"1d\"; \"0s\" for none";
            Err((format!("the cool-down {text:?} is not possible"), remedy.into()))
        }
    }
}

fn checked_language(code: &str) -> Result<Language, Mistake> {
    let remedy = "use \"en\" or \"fr\"";
    Language::parse(code).ok_or_else(|| (format!("there are no texts in the language {code:?}"), remedy.into()))
}

fn checked_daily(text: &str) -> Result<u16, Mistake> {
    let remedy = "write a time of the day, such as \"07:00\"";
    parse_clock(text).ok_or_else(|| (format!("the time {text:?} of the daily digest is not possible"), remedy.into()))
}

/// A mistake in the form of a variable. The text is not repeated, since it may be the secret itself.
fn checked_value(text: String, what: &str) -> Result<Value, Mistake> {
    let value = Value::from(text);
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 100
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match &value {
        Value::Variable(name) if !is_name(name) => Err((
            format!("the {what} names no environment variable"),
            "after $ write letters, digits and _ only, such as \"$ALERT_URL\"".into(),
        )),
        Value::Plain(text) if text.chars().count() > MAX_ADDRESS_CHARS || text.chars().any(char::is_control) => {
            Err((format!("the {what} is too long or has a control character"), "write it in one line".into()))
        }
        _ => Ok(value),
    }
}

/// Scheme, authority and the rest of an address.
fn parts_of(url: &str) -> Option<(String, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme.to_ascii_lowercase(), &rest[..at], &rest[at..]))
}

fn checked_url(text: String) -> Result<Value, Mistake> {
    let value = checked_value(text, "URL")?;
    let Value::Plain(url) = &value else { return Ok(value) };
    let remedy = "write a whole address, such as \"https://hooks.example.org/birdsong\", or \"$NAME\" for the environment \
                  variable that has it";
    let Some((scheme, authority, rest)) = parts_of(url) else {
        return Err(("the URL has no scheme".into(), remedy.into()));
    };
    if !["http", "https"].contains(&&*scheme) || authority.is_empty() || url.contains(char::is_whitespace) {
        return Err(("the URL is no address of the web".into(), remedy.into()));
    }
    let host = authority.rsplit('@').next().unwrap_or(authority).to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or(&host);
    let is_secret_host = SECRET_HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")));
    if authority.contains('@') || rest.contains('?') || is_secret_host {
        return Err((
            "the URL has a secret in it".into(),
            "put it into an environment variable, and write url = \"$NAME\" here: this file is no place for secrets"
                .into(),
        ));
    }
    Ok(value)
}

fn checked_secret(text: String) -> Result<Value, Mistake> {
    match checked_value(text, "secret")? {
        value @ Value::Variable(_) => Ok(value),
        Value::Plain(_) => Err((
            "a secret is written here".into(),
            "put it into an environment variable, and write secret = \"$NAME\" here; and choose another secret if this file \
             was shared"
                .into(),
        )),
    }
}

fn checked_smtp(text: String) -> Result<Value, Mistake> {
    let value = checked_value(text, "address of the mail server")?;
    let Value::Plain(url) = &value else { return Ok(value) };
    let remedy = "write \"smtps://HOST\", \"smtp://HOST:587?tls=required\", or \"$NAME\" for the environment variable that has it";
    match parts_of(url) {
        Some((scheme, authority, _)) if ["smtp", "smtps"].contains(&&*scheme) && !authority.is_empty() => {
            if authority.contains('@') {
                let remedy = "put the whole address into an environment variable, and write smtp = \"$NAME\" here";
                return Err(("the address of the mail server has a password in it".into(), remedy.into()));
            }
            Ok(value)
        }
        _ => Err(("this is no address of a mail server".into(), remedy.into())),
    }
}

/// The address itself, or `Name <address>`. The channel parses it in full.
fn checked_address(text: String) -> Result<String, Mistake> {
    let inner = text.rsplit_once('<').map_or(&*text, |(_, inner)| inner.trim_end().trim_end_matches('>'));
    let is_right = inner.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
        && !inner.contains(char::is_whitespace)
        && !text.chars().any(char::is_control)
        && text.chars().count() <= 320;
    if is_right {
        return Ok(text);
    }
    Err((format!("{text:?} is no address of mail"), "write one such as \"desk@example.org\"".into()))
}

fn checked_receivers(to: OneOrMore) -> Result<Vec<String>, Mistake> {
    let to = match to {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    };
    if to.is_empty() || to.len() > MAX_RECEIVERS {
        let problem = format!("a mail goes to 1 to {MAX_RECEIVERS} addresses, not {}", to.len());
        return Err((problem, "use the address of a list".into()));
    }
    to.into_iter().map(checked_address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Regions;

    const REGION: &str = "[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\n";

    fn alerts(text: &str) -> Result<Vec<Alert>, crate::region::RegionsError> {
        Regions::parse("my.toml", &format!("{REGION}{text}")).map(|regions| regions.alerts().to_vec())
    }

    #[test]
    fn an_alert_has_defaults_and_each_option_is_read() {
        let read = alerts("[[alert]]\nid = \"x\"\nlog = true").unwrap();
        assert_eq!(read, [Alert { id: "x".into(), log: true, ..Alert::default() }]);
        let read = alerts(
            r#"
[[alert]]
id = "desk"
regions = ["a"]
kinds = ["spike", "gap"]
sensitivity = "strict"
minimum = 20
quiet_hours = "22:00-07:00"
time_zone = "+02:00"
cool_down = "30m"
resolved = true
language = "fr"
daily = "07:00"
webhook = { url = "$HOOK", secret = "$HOOK_KEY" }
email = { to = ["Desk <desk@example.org>", "b@example.org"], from = "birds@example.org", smtp = "$SMTP" }
sns = true
"#,
        );
        let expected = Alert {
            id: "desk".into(),
            regions: vec!["a".into()],
            kinds: vec![EventKind::Spike, EventKind::Gap],
            sensitivity: Sensitivity::Strict,
            minimum: 20,
            quiet_hours: Some(QuietHours { from: 1320, to: 420 }),
            time_zone: UtcOffset::parse("+02:00").unwrap(),
            cool_down_ms: 1_800_000,
            resolved: true,
            language: Language::French,
            daily: Some(420),
            webhook: Some(Webhook {
                url: Value::Variable("HOOK".into()),
                secret: Some(Value::Variable("HOOK_KEY".into())),
            }),
            email: Some(Email {
                to: vec!["Desk <desk@example.org>".into(), "b@example.org".into()],
                from: "birds@example.org".into(),
                smtp: Value::Variable("SMTP".into()),
            }),
            sns: true,
            log: false,
        };
        assert_eq!(read.unwrap(), [expected]);
    }

    #[test]
    fn bounds_are_those_of_the_documentation() {
        let is_read = |option: &str| alerts(&format!("[[alert]]\nid = \"x\"\n{option}\n")).is_ok();
        let (hook, mail) = ("webhook = { url = \"$A\" }", "email = { to = \"a@b\", from = \"a@b\", smtp = \"$S\" }");
        for channel in [hook, mail, "sns = true", "log = true"] {
            assert!(is_read(channel), "{channel} alone");
        }
        for (text, secs) in [("0s", 0), ("90s", 90), ("2m", 120), ("3h", 10_800), ("7d", 604_800), ("604800s", 604_800)]
        {
            assert_eq!(checked_cool_down(text), Ok(secs * 1000));
        }
        for bad in ["604801s", "1w", "s", "1", ""] {
            assert!(checked_cool_down(bad).is_err(), "{bad}");
        }
        let is_value = |text: &str| checked_value(text.into(), "URL").is_ok();
        for (name, is_right) in [("A", true), ("_a1", true), ("", false), ("1A", false), ("A-B", false), ("É", false)]
        {
            assert_eq!(is_value(&format!("${name}")), is_right, "${name}");
        }
        assert!(is_value(&format!("${}", "A".repeat(100))) && !is_value(&format!("${}", "A".repeat(101))));
        assert!(is_value(&"é".repeat(2_000)) && !is_value(&"é".repeat(2_001)) && !is_value("a\nb"));
        for (url, is_right) in [
            ("https://example.org/x", true),
            ("HTTP://example.org", true),
            ("https://slack.com/x", true),
            ("ftp://example.org", false),
            ("https:///x", false),
            ("https://example.org/a b", false),
            ("https://Discord.com/x", false),
            ("https://eu.webhook.office.com:443/x", false),
        ] {
            assert_eq!(checked_url(url.into()).is_ok(), is_right, "{url}");
        }
        let is_address = |text: &str| checked_address(text.into()).is_ok();
        for bad in ["@b", "a@", "a b@c", "a@b c", "a\u{7}@b", "\u{7} <a@b>", "a"] {
            assert!(!is_address(bad), "{bad:?}");
        }
        assert!(is_address("Desk <a@b>") && is_address(&format!("{}@b", "a".repeat(318))));
        assert!(!is_address(&format!("{}@b", "a".repeat(319))));
        let receivers =
            |count: usize| checked_receivers(OneOrMore::More(vec!["a@b".into(); count])).map_or(0, |to| to.len());
        assert_eq!([0, 1, 20, 21].map(receivers), [0, 1, 20, 0]);
    }

    #[test]
    fn mistakes_name_the_line_and_a_remedy_and_repeat_no_secret() {
        let hook = |url: &str| format!("webhook = {{ url = \"{url}\" }}");
        let mail = |to: &str, smtp: &str| format!("email = {{ to = \"{to}\", from = \"a@b\", smtp = \"{smtp}\" }}");
        for (option, problem) in [
            (String::new(), "no channel"),
            ("log = true\nregion = \"a\"".into(), "unknown field"),
            ("regions = [\"b\"]\nlog = true".into(), "no region \"b\""),
            ("kinds = [\"goal\"]\nlog = true".into(), "no kind"),
            ("kinds = []\nlog = true".into(), "no kinds"),
            ("sensitivity = \"high\"\nlog = true".into(), "no sensitivity"),
            ("minimum = -1\nlog = true".into(), "minimum = -1"),
            ("quiet_hours = \"22-7\"\nlog = true".into(), "quiet hours"),
            ("quiet_hours = \"07:00-07:00\"\nlog = true".into(), "quiet hours"),
            ("time_zone = \"Europe/Paris\"\nlog = true".into(), "time zone"),
            ("cool_down = \"2\"\nlog = true".into(), "cool-down"),
            ("cool_down = \"8d\"\nlog = true".into(), "cool-down"),
            ("cool_down = \"2é\"\nlog = true".into(), "cool-down"),
            ("language = \"de\"\nlog = true".into(), "language"),
            ("daily = \"7:00\"\nlog = true".into(), "daily digest"),
            (hook("hooks.example.org/x"), "no scheme"),
            (hook("file:///etc/passwd"), "no address of the web"),
            (hook("https://hooks.slack.com/services/SESAME"), "secret in it"),
            (hook("https://x:SESAME@example.org/"), "secret in it"),
            (hook("https://example.org/?key=SESAME"), "secret in it"),
            (hook("$SESAME-1"), "names no environment variable"),
            ("webhook = { url = \"$A\", secret = \"SESAME\" }".into(), "a secret is written here"),
            (mail("nobody", "$S"), "no address of mail"),
            (mail("a@b\\nBcc: c@d", "$S"), "no address of mail"),
            (mail("a@b", "smtps://u:SESAME@mail.example.org"), "password in it"),
            (mail("a@b", "https://mail.example.org"), "no address of a mail server"),
        ] {
            let error = alerts(&format!("[[alert]]\nid = \"x\"\n{option}\n")).unwrap_err();
            assert!(error.problem.contains(problem), "{option}: {error}");
            assert!((4..=7).contains(&error.line), "{option}: {error}");
            assert!(!error.remedy.is_empty());
            assert!(!error.to_string().contains("SESAME"), "{error}");
        }
        let twice = "[[alert]]\nid = \"x\"\nlog = true\n[[alert]]\nid = \"x\"\nlog = true";
        let error = alerts(twice).unwrap_err();
        assert_eq!((error.line, error.problem.as_str()), (8, "the id \"x\" is used twice"));
    }
}
