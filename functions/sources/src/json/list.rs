//! Lists: their entries, or what is wanted of those.

use serde::de::SeqAccess;
use sonic_rs::LazyValue;

use super::{Field, Id, Raw, Seed};

/// A list without those entries that are of another type.
impl<'de, T> Field<'de> for Vec<T>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        !self.is_empty()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut found = Vec::new();
        while let Some(entry) = list.next_element_seed(Seed::<Option<T>>::new())? {
            found.extend(entry);
        }
        Ok(found)
    }
}

impl<'de, T> Field<'de> for Option<Vec<T>>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::<T>::list(list).map(Some)
    }
}

/// How many objects a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count(pub(crate) u32);

impl<'de> Field<'de> for Count {
    fn is_filled(&self) -> bool {
        self.0 > 0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut count = Self(0);
        while let Some(entry) = list.next_element::<LazyValue<'de>>()? {
            count.0 = count.0.saturating_add(u32::from(Raw::of(&entry).is_object()));
        }
        Ok(count)
    }
}

/// Whether a list has an entry that is not null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NotEmpty(pub(crate) bool);

impl<'de> Field<'de> for NotEmpty {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut found = Self(false);
        while let Some(entry) = list.next_element::<LazyValue<'de>>()? {
            found.0 |= entry.as_raw_str() != "null";
        }
        Ok(found)
    }
}

/// The smallest of a list of ids: that of the first of a post's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FirstId(pub(crate) Option<u64>);

impl<'de> Field<'de> for FirstId {
    fn is_filled(&self) -> bool {
        self.0.is_some()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut first: Option<u64> = None;
        while let Some(id) = list.next_element_seed(Seed::<Option<Id<'de>>>::new())? {
            if let Some(id) = id.as_ref().and_then(Id::number) {
                first = Some(first.map_or(id, |first| first.min(id)));
            }
        }
        Ok(Self(first))
    }
}

/// Up to four numbers: a point or a box. What is no number is NaN; of longer lists nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    list: [f64; 4],
    len: usize,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { list: [f64::NAN; 4], len: 0 }
    }
}

impl Numbers {
    pub(crate) fn as_slice(&self) -> &[f64] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

impl<'de> Field<'de> for Numbers {
    fn is_filled(&self) -> bool {
        self.len > 0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut numbers = Self::default();
        while let Some(number) = list.next_element_seed(Seed::<Option<f64>>::new())? {
            if let (Some(place), Some(number)) = (numbers.list.get_mut(numbers.len), number) {
                *place = number;
            }
            numbers.len += 1;
        }
        Ok(numbers)
    }
}

impl<'de> Field<'de> for Option<Numbers> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Numbers::list(list).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use crate::json::tests::thing;

    #[test]
    fn bad_entries_spoil_no_list() {
        let json = r#"{"parts":[null,7,{"at":[1,null,"x",4]},[],{"at":[1,2,3,4,5]},{},"x",{"at":{}}],"is_new":"True"}"#;
        let thing = thing(json);
        let lens: Vec<_> = thing.parts.iter().map(|part| part.at.as_slice().len()).collect();
        assert_eq!(lens, [4, 0, 0]);
        assert!(thing.parts[0].at.as_slice()[1].is_nan() && thing.is_new.0);
    }
}
