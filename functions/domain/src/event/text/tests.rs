use super::*;

/// 2026-11-26T19:32:00Z.
const START: i64 = 1_795_721_520_000;

fn at(text: &str) -> i64 {
    crate::time::parse_rfc3339(text).unwrap()
}

fn rising() -> Event {
    let tag = Subject::Hashtag { key: "goal".into(), shown: "Goal".into() };
    let carrier = |subject, observed, expected_milli| Carrier { subject, observed, expected_milli };
    Event {
        is_open: true,
        end_ms: START + 900_000,
        peak_ms: START + 900_000,
        observed: 31,
        span_ms: 900_000,
        expected_milli: 4_000,
        low_milli: 2_000,
        high_milli: 7_000,
        score_milli: 11_000,
        level_milli: 14_200,
        season_milli: 11_000,
        authors: Some(24),
        top_author_permille: Some(65),
        baseline_days: 7,
        missing_permille: 120,
        carriers: vec![
            carrier(Subject::Hashtag { key: "mtl".into(), shown: "MTL".into() }, 18, 1_500),
            carrier(Subject::Host { host: "rds.example".into() }, 1, 0),
        ],
        ..Event::new("montreal", EventKind::Rising, tag, START)
    }
}

fn plain(text: &str) -> String {
    text.replace(['\u{a0}', '\u{202f}'], "~")
}

fn said(language: Language, event: &Event) -> String {
    let style = Style { now_ms: Some(START), ..Style::new(language, "Montréal") };
    let text = style.text(event);
    plain(&format!("{}\n{}", text.headline, text.summary()))
}

fn of_kind(kind: EventKind) -> Event {
    let end_ms = START + 45 * 60_000;
    Event { end_ms, windows: 9, ..Event::new("montreal", kind, Subject::Region, START) }
}

const EN: Language = Language::English;
const FR: Language = Language::French;

/// No-break spaces are shown as `~`.
#[test]
fn each_kind_reads_well_in_both_languages() {
    let network = Subject::Network { network: Network::BLUESKY };
    let new = Event { is_new: true, expected_milli: 0, authors: None, baseline_days: 0, score_milli: 0, ..rising() };
    let new = Event { carriers: vec![], high_milli: 0, missing_permille: 0, ..new };
    let spike = Event {
        kind: EventKind::Spike,
        subject: network,
        is_open: false,
        end_ms: at("2026-11-27T00:20:00Z"),
        observed: 12_345,
        expected_milli: 1_030_400,
        low_milli: 900_000,
        high_milli: 1_200_000,
        score_milli: 12_000,
        sampled_permille: Some(100),
        baseline_days: 1,
        carriers: vec![],
        ..rising()
    };
    let fewer =
        Event { subject: Subject::Region, expected_milli: 60_000, high_milli: 0, missing_permille: 0, ..rising() };
    let drop = Event { kind: EventKind::Drop, observed: 12, ..fewer.clone() };
    let silence = Event { kind: EventKind::Silence, observed: 0, score_milli: -3_500, ..fewer };
    let fact = |kind| of_kind(kind);
    let cases = [
        (
            EN,
            rising(),
            "Montréal: #Goal, 31 posts in 15 minutes, usually 4, 7.8×, since 19:32 UTC\nVery clear: 14 times the usual variation above the level of recent days, and 11 times above the same time of other days (7 days compared). On four of five days there are 2 to 7 posts. About 24 authors, none of whom wrote more than 6.5% of the posts. Carried above all by #MTL (at least 18 posts, usually 1.5) and links to rds.example (at least 1 post, usually none). The count is a lower bound. 12% of the windows compared with are missing.",
        ),
        (
            FR,
            rising(),
            "Montréal~: #Goal, 31 publications en 15 minutes contre 4 d’habitude (7,8×), depuis 19~h~32 UTC\nTrès net~: 14 fois la variation habituelle au-dessus du niveau des derniers jours, et 11 fois au-dessus de la même heure des autres jours (7 jours comparés). Quatre jours sur cinq, on en attend de 2 à 7. Environ 24 auteurs~; aucun n’a écrit plus de 6,5~% des publications. Porté surtout par #MTL (au moins 18 publications, 1,5 d’habitude) et liens vers rds.example (au moins 1 publication, aucune d’habitude). Le compte est un minimum. 12~% des fenêtres de comparaison manquent.",
        ),
        (
            EN,
            new.clone(),
            "Montréal: #Goal, 31 posts in 15 minutes, not seen in the days before, since 19:32 UTC\nNot known: how many people posted. The count is a lower bound. There is no baseline yet, so what is usual is an estimate.",
        ),
        (
            FR,
            new,
            "Montréal~: #Goal, 31 publications en 15 minutes, jamais vu les jours précédents, depuis 19~h~32 UTC\nOn ne sait pas combien de personnes ont publié. Le compte est un minimum. Il n’y a pas encore de référence~: l’habitude est une estimation.",
        ),
        (
            EN,
            spike.clone(),
            "Montréal, Bluesky: 12,345 posts in 15 minutes, usually 1,030, 12×, from 19:32 on 26 November to 00:20 UTC on 27 November\nVery clear: 14 times the usual variation above the level of recent days, and 11 times above the same time of other days (1 day compared). On four of five days there are 900 to 1,200 posts. About 24 authors, none of whom wrote more than 6.5% of the posts. No hashtag and no link stands out. 12% of the windows compared with are missing. The counts are those of a sample of 10%.",
        ),
        (
            FR,
            spike,
            "Montréal, Bluesky~: 12~345 publications en 15 minutes contre 1~030 d’habitude (12×), du 26 novembre à 19~h~32 au 27 novembre à 0~h~20 UTC\nTrès net~: 14 fois la variation habituelle au-dessus du niveau des derniers jours, et 11 fois au-dessus de la même heure des autres jours (1 jour comparé). Quatre jours sur cinq, on en attend de 900 à 1~200. Environ 24 auteurs~; aucun n’a écrit plus de 6,5~% des publications. Aucun hashtag ni lien ne ressort. 12~% des fenêtres de comparaison manquent. Les comptes sont ceux d’un échantillon de 10~%.",
        ),
        (
            EN,
            drop.clone(),
            "Montréal: only 12 posts in 15 minutes, usually 60, 80% fewer, since 19:32 UTC\nVery clear: 14 times the usual variation below the level of recent days, and 11 times below the same time of other days (7 days compared). About 24 authors, none of whom wrote more than 6.5% of the posts.",
        ),
        (
            FR,
            drop,
            "Montréal~: seulement 12 publications en 15 minutes contre 60 d’habitude (−80~%), depuis 19~h~32 UTC\nTrès net~: 14 fois la variation habituelle au-dessous du niveau des derniers jours, et 11 fois au-dessous de la même heure des autres jours (7 jours comparés). Environ 24 auteurs~; aucun n’a écrit plus de 6,5~% des publications.",
        ),
        (
            EN,
            silence.clone(),
            "Montréal: no posts since 19:32 UTC, usually 60 in 15 minutes\nLess clear: 14 times the usual variation below the level of recent days, and 11 times below the same time of other days (7 days compared). Its sources were connected all the time.",
        ),
        (
            FR,
            silence,
            "Montréal~: aucune publication depuis 19~h~32 UTC, contre 60 en 15 minutes d’habitude\nMoins net~: 14 fois la variation habituelle au-dessous du niveau des derniers jours, et 11 fois au-dessous de la même heure des autres jours (7 jours comparés). Ses sources étaient pourtant connectées.",
        ),
        (
            EN,
            Event { reason: Some(GapReason::Missed), ..fact(EventKind::Gap) },
            "Montréal: posts are missing from 19:32 to 20:17 UTC\nA source was not connected, and what was posted meanwhile cannot be fetched any more. The counts of 9 windows are lower bounds.",
        ),
        (
            EN,
            Event { is_open: true, windows: 1, region: STREAM.into(), ..fact(EventKind::Gap) },
            "All regions: posts have been missing since 19:32 UTC\nThe reason is not known. The count of one window is a lower bound.",
        ),
        (
            FR,
            Event { reason: Some(GapReason::Lost), ..fact(EventKind::Gap) },
            "Montréal~: des publications manquent de 19~h~32 à 20~h~17 UTC\nDes publications ont été abandonnées, ou une source ne les a pas livrées. Les comptes de 9 fenêtres sont des minimums.",
        ),
        (
            EN,
            Event { sampled_permille: Some(15), ..fact(EventKind::Sampled) },
            "Montréal: only 1.5% of the posts were requested from 19:32 to 20:17 UTC\nThe counts are those of a sample, so the true numbers are higher.",
        ),
        (
            FR,
            Event { sampled_permille: Some(15), ..fact(EventKind::Sampled) },
            "Montréal~: 1,5~% seulement des publications demandées de 19~h~32 à 20~h~17 UTC\nLes comptes sont ceux d’un échantillon~; les vrais nombres sont plus élevés.",
        ),
        (
            EN,
            fact(EventKind::Restart),
            "Montréal: collection restarted at 19:32 UTC\nA streamer started again. Posts that may be missing are reported as a gap.",
        ),
        (
            FR,
            fact(EventKind::Restart),
            "Montréal~: la collecte a redémarré à 19~h~32 UTC\nUn collecteur a redémarré. Les publications qui pourraient manquer sont signalées comme lacune.",
        ),
        (
            EN,
            fact(EventKind::Revision),
            "Montréal: counts corrected from 19:32 to 20:17 UTC\n9 windows changed after they were final.",
        ),
        (
            FR,
            Event { windows: 1, ..fact(EventKind::Revision) },
            "Montréal~: chiffres corrigés de 19~h~32 à 20~h~17 UTC\nUne fenêtre définitive a changé.",
        ),
        (
            EN,
            Event { windows: 1, late: 4, ..fact(EventKind::Revision) },
            "Montréal: counts corrected from 19:32 to 20:17 UTC\nOne window changed after it was final, by 4 posts that came late.",
        ),
        (
            EN,
            Event { text: Some("Derby\u{202e}!".into()), ..fact(EventKind::Note) },
            "Montréal: Derby\u{fffd}!\nNote, from 19:32 to 20:17 UTC.",
        ),
    ];
    for (language, event, golden) in cases {
        assert_eq!(said(language, &event), golden);
    }
    // What has no duration is in the past also while it is open.
    for kind in [EventKind::Restart, EventKind::Revision, EventKind::Note] {
        let text = Some("Derby".to_owned());
        let over = Event { text, ..fact(kind) };
        assert_eq!(said(EN, &Event { is_open: true, ..over.clone() }), said(EN, &over));
    }
    let over = Event { is_open: false, ..rising() };
    let style = |language| Style { now_ms: Some(START), ..Style::new(language, "Montréal") };
    assert_eq!(
        style(EN).headline_over(&over),
        "Over after 15 minutes: Montréal: #Goal, 31 posts in 15 minutes, usually 4, 7.8×, from 19:32 to 19:47 UTC"
    );
    assert!(plain(&style(FR).headline_over(&over)).starts_with("Terminé après 15 minutes~: Montréal~: #Goal, 31"));
}

#[test]
fn numbers_and_plurals_are_those_of_the_language() {
    let both = |what: &dyn Fn(&Style<'_>) -> String| [EN, FR].map(|language| plain(&what(&Style::new(language, ""))));
    for (n, english, french) in [
        (0, "no posts", "aucune publication"),
        (1, "1 post", "1 publication"),
        (2, "2 posts", "2 publications"),
        (1_234_567, "1,234,567 posts", "1~234~567 publications"),
    ] {
        assert_eq!(both(&|style| style.posts(n)), [english, french]);
    }
    for (milli, english, french) in [
        (0, "0", "0"),
        (40, "less than 0.1", "moins de 0,1"),
        (60, "0.1", "0,1"),
        (950, "1", "1"),
        (1_540, "1.5", "1,5"),
        (9_940, "9.9", "9,9"),
        (9_960, "10", "10"),
        (10_499, "10", "10"),
        (1_999_600, "2,000", "2~000"),
        (u64::MAX, "18,446,744,073,709,551", "18~446~744~073~709~551"),
    ] {
        assert_eq!(both(&|style| style.milli(milli)), [english, french]);
    }
    for (minutes, english, french) in [
        (0, "0 minutes", "0 minute"),
        (1, "1 minute", "1 minute"),
        (60, "1 hour", "1 heure"),
        (61, "1 hour 1 minute", "1~h~01"),
        (150, "2 hours 30 minutes", "2~h~30"),
        (1440, "24 hours", "24 heures"),
        (2880, "2 days", "2 jours"),
    ] {
        assert_eq!(both(&|style| style.duration(minutes * MINUTE_MS)), [english, french]);
    }
    for (ms, english, french) in [
        (-1, "0 minutes", "0 minute"),
        (999, "0 seconds", "0 seconde"),
        (1_000, "1 second", "1 seconde"),
        (59_999, "59 seconds", "59 secondes"),
    ] {
        assert_eq!(both(&|style| style.duration(ms)), [english, french]);
    }
    for (permille, english, french) in
        [(0, "0%", "0~%"), (5, "0.5%", "0,5~%"), (50, "5%", "5~%"), (99, "9.9%", "9,9~%"), (125, "13%", "13~%")]
    {
        assert_eq!(both(&|style| style.percent(permille)), [english, french]);
    }
}

#[test]
fn times_have_the_offset_and_a_date_where_it_is_needed() {
    let offset = UtcOffset::parse("+05:30").unwrap();
    let event = Event { is_open: true, ..of_kind(EventKind::Gap) };
    let when =
        |language, now_ms, event: &Event| plain(&Style { offset, now_ms, ..Style::new(language, "") }.when(event));
    // There it is 01:02 on the 27th.
    assert_eq!(when(EN, Some(START), &event), "since 01:02 UTC+5:30");
    assert_eq!(when(EN, Some(START - DAY_MS), &event), "since 01:02 UTC+5:30 on 27 November");
    assert_eq!(when(EN, None, &event), "since 01:02 UTC+5:30 on 27 November 2026");
    assert_eq!(when(FR, None, &event), "depuis le 27 novembre 2026 à 1~h~02 UTC+5:30");
    let over = Event { is_open: false, ..event };
    let point = Event { end_ms: START, ..over.clone() };
    assert_eq!(when(EN, Some(START), &point), "at 01:02 UTC+5:30");
    assert_eq!(when(EN, None, &point), "at 01:02 UTC+5:30 on 27 November 2026");
    assert_eq!(when(EN, None, &over), "from 01:02 to 01:47 UTC+5:30 on 27 November 2026");
    assert_eq!(when(FR, None, &over), "le 27 novembre 2026 de 1~h~02 à 1~h~47 UTC+5:30");
    let first = Event { start_ms: at("2026-04-30T18:30:00Z"), end_ms: 0, ..over };
    assert_eq!(when(FR, None, &first), "le 1er mai 2026 à 0~h UTC+5:30");
    assert_eq!(Style { offset: UtcOffset::parse("-03:30").unwrap(), ..Style::new(EN, "") }.offset.shown(), "UTC−3:30");
}

#[test]
fn offsets_and_clocks_are_read_in_one_form() {
    for (text, shown) in [("UTC", "+00:00"), ("z", "+00:00"), ("+02:00", "+02:00"), ("-14:00", "-14:00")] {
        assert_eq!(UtcOffset::parse(text).unwrap().to_string(), shown);
    }
    for bad in ["", "2", "+2:00", "+14:01", "+02:60", "Europe/Paris", "+é2:0", "02:00", "+02:00 "] {
        assert!(UtcOffset::parse(bad).is_err(), "{bad}");
    }
    assert_eq!((parse_clock("07:30"), parse_clock("23:59"), parse_clock("24:00")), (Some(450), Some(1439), None));
    let day = UtcOffset::parse("-05:00").unwrap().day_of(at("2026-11-27T03:00:00Z"));
    assert_eq!(day, (at("2026-11-26T05:00:00Z"), at("2026-11-27T05:00:00Z")));
}

#[test]
fn the_daily_digest_names_what_happened_and_what_is_missing() {
    let over = Event { is_open: false, carriers: vec![], ..rising() };
    let spike = Event {
        kind: EventKind::Spike,
        score_milli: 20_000,
        observed: 900,
        subject: Subject::Network { network: Network::X },
        ..over.clone()
    };
    let note = Event { text: Some("Derby at 19:00".into()), ..of_kind(EventKind::Note) };
    let events = [note, of_kind(EventKind::Gap), over, spike];
    let quiet = DailyRegion { name: "Toronto", posts: Some(8112), ..DailyRegion::default() };
    let busy = DailyRegion { name: "Montréal", posts: Some(12_345), is_lower_bound: true, events: &events };
    let regions = [quiet, busy, DailyRegion { name: "Paris", posts: None, ..quiet }];
    let text = |language, regions: &[DailyRegion<'_>], collection: &[Event]| {
        plain(&Style::new(language, "").daily(START, regions, collection))
    };
    assert_eq!(
        text(EN, &regions, &[of_kind(EventKind::Restart)]),
        "Thursday 26 November 2026 (UTC)\n\n\
         2 unusual events in one region. The clearest (Montréal, X): 900 posts in 15 minutes, usually 4, 225×, from 19:32 to 19:47.\n\n\
         Montréal: at least 12,345 posts\n\
         - X: 900 posts in 15 minutes, usually 4, 225×, from 19:32 to 19:47\n\
         - #Goal, 31 posts in 15 minutes, usually 4, 7.8×, from 19:32 to 19:47\n\
         - Note: Derby at 19:00 (from 19:32 to 20:17)\n\
         - Posts are missing from 19:32 to 20:17\n\n\
         Nothing unusual: Paris (number of posts not known) and Toronto (8,112 posts).\n\n\
         All regions\n\
         - Collection restarted at 19:32\n"
    );
    assert_eq!(
        text(FR, &regions[..2], &[]),
        "Jeudi 26 novembre 2026 (UTC)\n\n\
         2 événements inhabituels dans une région. Le plus net (Montréal, X)~: 900 publications en 15 minutes contre 4 d’habitude (225×), de 19~h~32 à 19~h~47.\n\n\
         Montréal~: au moins 12~345 publications\n\
         - X~: 900 publications en 15 minutes contre 4 d’habitude (225×), de 19~h~32 à 19~h~47\n\
         - #Goal, 31 publications en 15 minutes contre 4 d’habitude (7,8×), de 19~h~32 à 19~h~47\n\
         - Note~: Derby at 19:00 (de 19~h~32 à 20~h~17)\n\
         - Des publications manquent de 19~h~32 à 20~h~17\n\n\
         Rien d’inhabituel~: Toronto (8~112 publications).\n"
    );
    assert_eq!(
        text(EN, &[quiet], &[]),
        "Thursday 26 November 2026 (UTC)\n\nA quiet day: nothing unusual happened.\n\nToronto (8,112 posts).\n"
    );
    assert_eq!(text(FR, &[], &[]), "Jeudi 26 novembre 2026 (UTC)\n\nJournée calme~: rien d’inhabituel.\n");
    let many = vec![events[2].clone(); MAX_DAILY_EVENTS + 2];
    let listed = text(EN, &[DailyRegion { events: &many, ..busy }], &[]);
    assert!(listed.ends_with("- and 2 more\n"), "{listed}");
}

#[test]
fn sentences_are_left_out_where_there_is_nothing_to_say() {
    let style = Style::new(EN, "");
    let range = |low_milli, high_milli| style.range(&Event { low_milli, high_milli, ..rising() });
    assert_eq!(range(2_000, 7_000), "On four of five days there are 2 to 7 posts.");
    assert_eq!(range(2_000, 2_000), "On four of five days there are about 2 posts.");
    assert_eq!((range(0, 0), range(2_000, 1_999)), (String::new(), String::new()));

    let authors = |authors| style.authors(&Event { authors, ..rising() });
    assert_eq!((authors(None), authors(Some(1))), (String::new(), "One author.".into()));
    assert_eq!(authors(Some(2)), "About 2 authors, none of whom wrote more than 6.5% of the posts.");

    let known = Event { subject: Subject::Region, missing_permille: 0, ..rising() };
    let unknown = |event: Event| style.unknown(&event);
    assert_eq!(unknown(known.clone()), "");
    let nobody = Event { authors: None, ..known.clone() };
    let shareless = Event { top_author_permille: None, ..known.clone() };
    assert_eq!(unknown(nobody.clone()), "Not known: how many people posted.");
    assert_eq!(unknown(shareless.clone()), "Not known: how much the most active author wrote.");
    for known in [nobody, shareless.clone()] {
        assert_eq!(unknown(Event { kind: EventKind::Drop, ..known }), "");
    }
    assert_eq!(unknown(Event { authors: Some(1), ..shareless }), "");
    let sampled = |share| unknown(Event { sampled_permille: Some(share), ..known.clone() });
    assert_eq!((sampled(999), sampled(1000)), ("The counts are those of a sample of 100%.".into(), String::new()));

    let fewer = |observed| fewer_percent(&Event { observed, ..rising() });
    assert_eq!([0, 1, 4, 9].map(fewer), [100, 75, 0, 0]);
    assert_eq!(style.certainty(&Event { windows: 0, ..of_kind(EventKind::Gap) }), "The reason is not known.");
}

#[test]
fn a_long_list_of_the_day_ends_with_what_is_left_out() {
    let lines = |language, events: &[Event]| plain(&Style::new(language, "").lines(events));
    let over = Event { is_open: false, carriers: vec![], ..rising() };
    let more = vec![over.clone(); MAX_DAILY_EVENTS + 1];
    assert!(lines(EN, &more).ends_with("- and one more\n") && lines(FR, &more).ends_with("- et un autre\n"));
    assert!(!lines(EN, &more[1..]).contains("more\n"));
    for (kind, english, french) in [
        (EventKind::Note, "note", "note"),
        (EventKind::Gap, "gap", "lacune"),
        (EventKind::Sampled, "sample", "échantillon"),
        (EventKind::Restart, "restart", "redémarrage"),
        (EventKind::Revision, "correction", "correction"),
    ] {
        let more = vec![of_kind(kind); MAX_DAILY_EVENTS + 2];
        assert!(lines(EN, &more).ends_with(&format!("\n- and 2 more ({english})\n")));
        assert!(lines(FR, &more).ends_with(&format!("\n- et 2 de plus ({french})\n")));
        assert!(!lines(EN, &more[2..]).contains("more"));
    }
    let note = Event { text: Some("Derby".into()), is_open: true, ..of_kind(EventKind::Note) };
    assert!(lines(EN, &[note]).starts_with("- Note: Derby (from "));
}

#[test]
fn the_kinds_that_compare_have_nouns_too() {
    let noun = |kind| [EN, FR].map(|language| Style::new(language, "").kind(kind));
    let kinds = [EventKind::Rising, EventKind::Spike, EventKind::Drop, EventKind::Silence];
    assert_eq!(kinds.map(noun), [["rising", "en hausse"], ["spike", "pic"], ["drop", "baisse"], ["silence"; 2]]);
}

#[test]
fn a_link_shows_an_hour_more_at_both_ends() {
    let event = Event { region: "fog".into(), ..of_kind(EventKind::Gap) };
    let span = "from=2026-11-26T18:32:00Z&to=2026-11-26T21:17:00Z";
    assert_eq!(link("https://a.example/", &event), format!("https://a.example/?region=fog&{span}"));
    assert_eq!(
        link("https://a.example", &Event { region: STREAM.into(), ..event }),
        format!("https://a.example/?{span}")
    );
    assert_eq!(view("x", None, 0, 60_000), "x/?from=1970-01-01T00:00:00Z&to=1970-01-01T00:01:00Z");
}
