//! The stored item of a partial.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use birdsong_domain::ports::{PortError, Row, RowVersion, SequenceNumber};
use birdsong_domain::post::Kind;
use birdsong_domain::time::{parse_rfc3339, rfc3339};
use birdsong_domain::window::Partial;

use super::keys::{self, ItemKey};

/// An item as DynamoDB has it.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// Attributes that a partial is read from.
pub(super) const READ: &str = "sk, g, f, s, updated";

/// Longest sequence number in a [`fence_text`]; those of Kinesis have 56 digits.
const MAX_DIGITS: usize = 999;

/// A fence as text whose order is the order of the numbers: three digits of length, then the
/// number. (DynamoDB's own numbers end at 38 digits.)
pub(super) fn fence_text(fence: &SequenceNumber) -> Result<String, PortError> {
    let digits = fence.as_str();
    if digits.len() > MAX_DIGITS {
        let reason = format!("a fence of {} digits, but {MAX_DIGITS} are the most", digits.len());
        return Err(PortError::Refused { what: "DynamoDB window store", reason });
    }
    Ok(format!("{:03}:{digits}", digits.len()))
}

/// Reads what [`fence_text`] wrote.
fn parse_fence(text: &str) -> Option<SequenceNumber> {
    let fence = SequenceNumber::parse(text.split_once(':')?.1)?;
    fence_text(&fence).is_ok_and(|again| again == text).then_some(fence)
}

/// Attributes that a version is read from.
pub(super) const READ_VERSION: &str = "pk, g, f";

/// Generation and fence as an item has them; an attribute that is missing or of another type is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) generation: Option<String>,
    pub(super) fence: Option<String>,
}

impl Beside {
    pub(super) fn of(item: &Attributes) -> Self {
        Self {
            generation: item.get("g").and_then(|value| value.as_n().ok()).cloned(),
            fence: item.get("f").and_then(|value| value.as_s().ok()).cloned(),
        }
    }

    /// The token is the one's length, plus 1, and then both.
    pub(super) fn version(&self) -> RowVersion {
        let (generation, fence) = (self.generation.as_deref(), self.fence.as_deref());
        let mut token = vec![generation.map_or(0, |text| u8::try_from(text.len() + 1).unwrap_or(u8::MAX))];
        token.push(u8::from(fence.is_some()));
        token.extend(generation.unwrap_or_default().bytes().chain(fence.unwrap_or_default().bytes()));
        RowVersion {
            generation: generation.and_then(|digits| digits.parse().ok()),
            fence: fence.and_then(parse_fence),
            token: token.into(),
        }
    }

    pub(super) fn from_version(version: &RowVersion) -> Result<Self, PortError> {
        let read = || {
            let ([length, has_fence], rest) = version.token.split_first_chunk()?;
            let length = usize::from(*length).checked_sub(1);
            let (generation, fence) = rest.split_at_checked(length.unwrap_or(0))?;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            Some(Self {
                generation: length.and_then(|_| text(generation)),
                fence: (*has_fence == 1).then(|| text(fence)).flatten(),
            })
        };
        let reason = "the version is that of another store".to_owned();
        read().ok_or(PortError::Refused { what: "DynamoDB window store", reason })
    }
}

/// The parts of an item that conditions and comparisons look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Core {
    pub(super) generation: String,
    pub(super) fence: String,
    pub(super) state: Vec<u8>,
}

impl Core {
    pub(super) fn of(partial: &Partial) -> Result<Self, PortError> {
        Ok(Self {
            generation: partial.generation.to_string(),
            fence: fence_text(&partial.fence)?,
            state: partial.encode().map_err(PortError::cannot_encode)?,
        })
    }

    /// `None` when an attribute is missing or of another type.
    fn read(item: &Attributes) -> Option<Self> {
        Some(Self {
            generation: item.get("g")?.as_n().ok()?.clone(),
            fence: item.get("f")?.as_s().ok()?.clone(),
            state: item.get("s")?.as_b().ok()?.as_ref().to_vec(),
        })
    }

    fn decode(&self) -> Result<Partial, String> {
        let generation = self.generation.parse().map_err(|_| format!("{} is no generation", self.generation))?;
        let partial = Partial::decode(generation, &self.state).map_err(|e| e.to_string())?;
        // Puts compare the attribute; if it differed from the state's, no put would ever succeed.
        if fence_text(&partial.fence).ok().as_ref() != Some(&self.fence) {
            return Err(format!("the fence is {} in the state but {} beside it", partial.fence, self.fence));
        }
        Ok(partial)
    }
}

/// What only one put writes, all its tries included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PutId([u8; 8]);

impl PutId {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// The attribute `w`.
    pub(super) fn attribute(self) -> AttributeValue {
        AttributeValue::B(Blob::new(self.0))
    }

    /// Whether this put wrote the item.
    pub(super) fn wrote(self, item: &Attributes) -> bool {
        item.get("w").and_then(|id| id.as_b().ok()).is_some_and(|id| id.as_ref() == self.0)
    }
}

/// The whole item: keys, generation, fence, state, who wrote it, and counters for people who look
/// at the table.
pub(super) fn write(
    key: &ItemKey,
    core: &Core,
    id: PutId,
    partial: &Partial,
    now_ms: i64,
    ttl: Option<i64>,
) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &dyn ToString| AttributeValue::N(number.to_string());
    let mut item: Attributes = [
        ("pk", text(&key.pk)),
        ("sk", text(&key.sk)),
        ("g", number(&core.generation)),
        ("f", text(&core.fence)),
        ("s", AttributeValue::B(Blob::new(core.state.as_slice()))),
        ("w", id.attribute()),
        ("posts", number(&partial.aggregate.posts())),
        ("updated", text(&rfc3339(now_ms))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for kind in Kind::ALL {
        let name = match kind {
            Kind::Original => "originals",
            Kind::Reply => "replies",
            Kind::Quote => "quotes",
            Kind::Repost => "reposts",
        };
        item.insert(name.to_owned(), number(&partial.aggregate.kinds.of(kind)));
    }
    if let Some(ttl) = ttl {
        item.insert("ttl".to_owned(), number(&ttl));
    }
    item
}

/// Reads a row from an item that has `sk` and the attributes of [`READ`].
///
/// # Errors
/// When the sort key is not one of a row. That the partial cannot be read is part of the row.
pub(super) fn read(table: &str, region: &str, pk: &str, item: &Attributes) -> Result<Row, PortError> {
    let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
    let corrupt =
        |reason: String| PortError::Corrupt { what: format!("DynamoDB table {table}, item {pk} / {sk}"), reason };
    let key = keys::parse_sk(region, sk).ok_or_else(|| corrupt("the sort key is no window and lane".to_owned()))?;
    let core = Core::read(item).ok_or_else(|| corrupt("g (a number), f (text) or s (bytes) is missing".to_owned()));
    let updated = item.get("updated").and_then(|updated| updated.as_s().ok());
    let stored_ms = updated.and_then(|updated| parse_rfc3339(updated)).unwrap_or(0);
    let decode = |core: Core| core.decode().map(|partial| Partial { stored_ms, ..partial }).map_err(corrupt);
    Ok((key, core.and_then(decode)))
}

/// Size as DynamoDB bills it, about: names and values; a number needs a byte for two digits, and
/// one more.
pub(super) fn size_bytes(item: &Attributes) -> usize {
    let value_bytes = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => 0,
    };
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> SequenceNumber {
        SequenceNumber::parse(digits).unwrap()
    }

    #[test]
    fn fences_as_text_are_ordered_as_numbers() {
        let ordered = ["0", "9", "10", "99", "100", &"9".repeat(38), &"1".repeat(56), &"9".repeat(100)];
        let texts: Vec<_> = ordered.iter().map(|digits| fence_text(&number(digits)).unwrap()).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts[2], "002:10");
        assert!(fence_text(&number(&"1".repeat(1000))).is_err());
    }

    #[test]
    fn a_version_comes_back_as_it_was_read() {
        let text = |text: &str| AttributeValue::S(text.into());
        let digits = |digits: &str| AttributeValue::N(digits.into());
        for (g, f, generation, fence) in [
            (Some(digits("1")), Some(text("002:10")), Some(1), Some("10")),
            (Some(digits("99999999999999999999999999999999999999")), Some(text("002:1")), None, None),
            (Some(text("1")), Some(digits("10")), None, None),
            (Some(digits("0")), Some(text("")), Some(0), None),
            (None, Some(text("001:7")), None, Some("7")),
            (None, None, None, None),
        ] {
            let pairs = [("g", g), ("f", f)];
            let item = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            let beside = Beside::of(&item);
            let version = beside.version();
            assert_eq!((version.generation, version.fence.clone()), (generation, fence.map(number)), "{item:?}");
            assert_eq!(Beside::from_version(&version).unwrap(), beside, "{item:?}");
        }
    }

    #[test]
    fn an_item_that_lost_an_attribute_or_has_another_fence_is_corrupt() {
        let partial = birdsong_testkit::sample_partial(1, number("7"), 1);
        let key = ItemKey { pk: "a#1970-01-01".into(), sk: "1970-01-01T00:00:00Z#x#0".into() };
        let whole = write(&key, &Core::of(&partial).unwrap(), PutId::random(), &partial, 0, Some(5));
        let text = |text: &str| AttributeValue::S(text.into());
        assert_eq!(read("t", "a", &key.pk, &whole).unwrap().0.window.0, 0);
        let damages = [
            ("g", None),
            ("f", None),
            ("s", None),
            ("g", Some(text("1"))),
            ("g", Some(AttributeValue::N("-1".into()))),
            ("f", Some(text("001:8"))),
            ("s", Some(AttributeValue::B(Blob::new([1, 2, 3])))),
            ("sk", Some(text("1970-01-01T00:00:00Z"))),
        ];
        for (name, value) in damages {
            let mut item = whole.clone();
            match value.clone() {
                Some(value) => item.insert(name.to_owned(), value),
                None => item.remove(name),
            };
            let error = read("t", "a", &key.pk, &item).and_then(|(_, partial)| partial).unwrap_err();
            assert!(matches!(error, PortError::Corrupt { .. }), "{name} {value:?}: {error}");
            assert!(error.to_string().contains("table t, item a#1970-01-01"), "{error}");
        }
    }
}
