use super::*;
use proptest::prelude::*;

fn encoded(sketch: &TopK) -> Vec<u8> {
    let mut out = Vec::new();
    sketch.encode(&mut out);
    out
}

#[test]
fn the_form_written_most_is_shown() {
    let mut sketch = TopK::new(8);
    for written in ["MTL", "mtl", "MTL", "Mtl"] {
        sketch.add("mtl", written, Some(7));
    }
    let top = sketch.top(1).remove(0);
    assert_eq!((&*top.key, &*top.shown, top.count, top.error), ("mtl", "MTL", 4, 0));
    assert_eq!((top.crowd.posts(), top.crowd.authors().value), (4, 1));
}

#[test]
fn nobody_is_shown_a_spelling_that_nobody_wrote() {
    // Four spellings once each, then one five times: the folded key was never written.
    let mut sketch = TopK::new(8);
    let others = ["Abcd", "aBcd", "abCd", "abcD"].into_iter();
    others.chain(std::iter::repeat_n("ABcd", 5)).for_each(|written| {
        sketch.add("abcd", written, None);
    });
    let top = sketch.top(1).remove(0);
    assert_eq!((&*top.shown, top.count, top.error), ("ABcd", 9, 0));
    // More spellings than are kept, each once.
    let mut sketch = TopK::new(8);
    for bits in 1..16u32 {
        let written: String = "abcd"
            .char_indices()
            .map(|(n, c)| match bits >> n & 1 {
                1 => c.to_ascii_uppercase(),
                _ => c,
            })
            .collect();
        sketch.add("abcd", &written, None);
        assert_ne!(sketch.top(1)[0].shown, "abcd");
    }
    // As most wrote it, even when many others come before, between and after.
    for bits in 1..16u32 {
        sketch.add("abcd", "ABCd", None);
        sketch.add("abcd", ["ABCD", "abcd"][(bits % 2) as usize], None);
    }
    assert_eq!(sketch.top(1)[0].shown, "ABCd");
}

#[test]
fn the_key_counts_as_a_spelling_like_any_other() {
    let mut sketch = TopK::new(8);
    for written in ["tag", "Tag", "TAG", "tag", "tag", "tAg", "taG", "tAG", "TAg", "TaG"] {
        sketch.add("tag", written, None);
    }
    assert_eq!(sketch.top(1)[0].shown, "tag");
}

#[test]
fn a_sketch_is_exact_until_it_is_full_and_then_loses_the_median() {
    let mut sketch = TopK::new(4);
    assert!(sketch.is_empty());
    for (key, times) in [("a", 4), ("b", 3), ("c", 2), ("d", 1)] {
        for _ in 0..times {
            sketch.add(key, key, None);
        }
    }
    let counts = |sketch: &TopK| ["a", "b", "c", "d", "e"].map(|key| sketch.count(key));
    assert_eq!((counts(&sketch), sketch.error(), sketch.len(), sketch.is_empty()), ([4, 3, 2, 1, 0], 0, 4, false));
    assert_eq!(sketch.add("e", "e", None), 0);
    assert_eq!((counts(&sketch), sketch.error(), sketch.len()), ([2, 1, 0, 0, 0], 2, 2));
}

#[test]
fn merged_sketches_have_the_sum_of_the_errors_and_shrink_to_the_most_frequent() {
    let of = |capacity: usize, error: u64, counts: &[(&str, u64)]| {
        let mut sketch = TopK::new(capacity);
        sketch.error = error;
        for (key, times) in counts {
            for _ in 0..*times {
                sketch.add(key, key, None);
            }
        }
        sketch
    };
    let counts = |sketch: &TopK| sketch.top(9).into_iter().map(|item| (item.key, item.count)).collect::<Vec<_>>();
    let mut sum = of(4, 2, &[("a", 4), ("b", 3)]);
    sum.merge(&of(4, 3, &[("b", 2), ("c", 1), ("d", 1)]));
    assert_eq!(counts(&sum), [("b", 5), ("a", 4), ("c", 1), ("d", 1)].map(|(key, count)| (key.to_owned(), count)));
    assert_eq!(sum.error(), 5, "it has room for all");
    sum.merge(&of(4, 1, &[("e", 1)]));
    assert_eq!((counts(&sum).len(), sum.error(), sum.count("b")), (2, 7, 4));

    let mut merged = Some(of(8, 1, &[("a", 9), ("b", 7), ("c", 4), ("d", 2), ("e", 1)]));
    TopK::shrink(&mut merged, 5);
    assert_eq!(merged.as_ref().map(TopK::error), Some(1), "nothing is too much");
    TopK::shrink(&mut merged, 2);
    let merged = merged.unwrap();
    assert_eq!(counts(&merged), [("a".to_owned(), 5), ("b".to_owned(), 3)]);
    assert_eq!((merged.error(), merged.capacity), (5, 2));
}

// Rule 1.8.
#[test]
fn an_item_has_one_form_and_all_others_are_refused() {
    let item = |count: u8, own: u8, forms: &[(&str, u8)]| {
        let mut bytes = vec![0, 1, 3, b'a', b'b', b'c', count, 0, 1 + forms.len() as u8, own];
        for (written, times) in forms {
            wire::put_bytes(&mut bytes, written.as_bytes());
            bytes.push(*times);
        }
        bytes
    };
    let read = |bytes: &[u8]| TopK::decode(4, 4, &mut Reader::new(bytes)).map(|sketch| encoded(&sketch));
    let most = [("ABC", 1), ("ABc", 1), ("AbC", 1), ("Abc", 1), ("aBC", 1)];
    let plain = vec![0, 1, 3, b'a', b'b', b'c', 5, 0, 0];
    for good in [plain, item(5, 1, &most[..4]), item(5, 0, &most), item(5, 4, &[])] {
        assert_eq!(read(&good), Ok(good));
    }
    for (what, bad) in [
        ("six spellings", item(6, 1, &most)),
        ("another order", item(5, 1, &[("Abc", 1), ("ABC", 1)])),
        ("one twice", item(5, 1, &[("Abc", 1), ("Abc", 1)])),
        ("the key among the others", item(5, 1, &[("abc", 1)])),
        ("one that nobody wrote", item(5, 1, &[("Abc", 0)])),
        ("the key alone in long", item(5, 5, &[])),
        ("no spelling", item(5, 0, &[])),
    ] {
        assert!(read(&bad).is_err(), "{what}");
    }
    let mut full = TopK::new(4);
    for key in ["a", "b", "c", "d"] {
        full.add(key, key, None);
    }
    let bytes = encoded(&full);
    assert!(
        TopK::decode(3, 4, &mut Reader::new(&bytes)).is_ok() && TopK::decode(3, 3, &mut Reader::new(&bytes)).is_err()
    );
}

/// The spellings of an item by their rule: five places, the key's among them.
#[derive(Default)]
struct Spellings(BTreeMap<String, u64>);

impl Spellings {
    fn saw(&mut self, written: &str) {
        if self.0.len() < 5 || self.0.contains_key(written) {
            *self.0.entry(written.to_owned()).or_default() += 1;
        } else {
            self.lower(1);
        }
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(written, times)| *self.0.entry(written.clone()).or_default() += times);
        let mut times: Vec<_> = self.0.values().copied().collect();
        times.sort_unstable();
        if let Some(sixth) = times.len().checked_sub(6) {
            self.lower(times[sixth]);
        }
    }

    fn lower(&mut self, by: u64) {
        let best =
            self.0.iter().max_by_key(|(written, times)| (**times, **written != "abc", std::cmp::Reverse(*written)));
        let best = best.map(|(written, _)| written.clone()).unwrap();
        self.0.retain(|_, times| {
            *times = times.saturating_sub(by);
            *times > 0
        });
        if self.0.is_empty() {
            self.0.insert(best, 1);
        }
    }
}

proptest! {
    // Rule 9.5.
    #[test]
    fn whatever_is_shown_was_written(words in prop::collection::vec("[aA][bB][cC]", 1..60), cut in 0usize..60) {
        let of = |words: &[String]| {
            let mut sketch = TopK::new(8);
            words.iter().enumerate().for_each(|(n, word)| {
                sketch.add("abc", word, Some((n as u64) << 48));
            });
            sketch
        };
        let cut = cut.min(words.len());
        let (mut one, two) = (of(&words[..cut]), of(&words[cut..]));
        let mut other = two.clone();
        other.merge(&one);
        one.merge(&two);
        prop_assert_eq!(encoded(&one), encoded(&other), "the order of a merge does not show");
        let spelled = |words: &[String]| {
            let mut spellings = Spellings::default();
            words.iter().for_each(|word| spellings.saw(word));
            spellings
        };
        let mut merged = spelled(&words[..cut]);
        merged.merge(&spelled(&words[cut..]));
        for (sketch, spellings) in [(&of(&words), spelled(&words)), (&one, merged)] {
            let counter = &sketch.counters["abc"];
            let own = Some(("abc".to_owned(), counter.own)).filter(|(_, own)| *own > 0);
            let others = counter.forms.iter().map(|(written, times)| (written.to_string(), *times));
            prop_assert_eq!(others.chain(own).collect::<BTreeMap<_, _>>(), spellings.0);
            let top = sketch.top(1);
            prop_assert!(words.contains(&top[0].shown));
            prop_assert_eq!(top[0].count, words.len() as u64);
            prop_assert_eq!(sketch, &TopK::decode(8, 8, &mut Reader::new(&encoded(sketch))).unwrap());
            // One that more than half wrote is the one shown.
            let times = |form: &String| words.iter().filter(|word| *word == form).count();
            if let Some(most) = words.iter().find(|form| times(form) * 2 > words.len()) {
                prop_assert_eq!(&top[0].shown, most);
            }
        }
    }

    // Rule 9.4.
    #[test]
    fn counts_stay_within_the_stated_error(items in prop::collection::vec(0u32..60, 0..600)) {
        let mut sketch = TopK::new(16);
        let mut truth: HashMap<String, u64> = HashMap::new();
        for item in &items {
            let item = format!("t{item}");
            sketch.add(&item, &item, None);
            *truth.entry(item).or_default() += 1;
        }
        prop_assert!(sketch.len() <= 16);
        for line in sketch.top(16) {
            let real = truth[&line.shown];
            prop_assert!(line.count <= real && real <= line.count + line.error);
            truth.remove(&line.shown);
        }
        prop_assert!(truth.values().all(|n| *n <= sketch.error()));
    }

    /// A crash between two records reloads the sketch from its bytes; nothing may differ.
    #[test]
    fn a_reload_at_any_point_changes_no_byte(items in prop::collection::vec((0u32..40, any::<bool>()), 0..300), every in 1usize..50) {
        let (mut straight, mut reloaded) = (TopK::new(16), TopK::new(16));
        for (i, (item, upper)) in items.iter().enumerate() {
            let key = format!("t{item}");
            let written = if *upper { key.to_uppercase() } else { key.clone() };
            let author = Some((i as u64 % 30) << 48);
            straight.add(&key, &written, author);
            reloaded.add(&key, &written, author);
            if i % every == 0 {
                let bytes = encoded(&reloaded);
                reloaded = TopK::decode(16, 16, &mut Reader::new(&bytes)).unwrap();
            }
        }
        prop_assert_eq!(encoded(&straight), encoded(&reloaded));
    }
}
