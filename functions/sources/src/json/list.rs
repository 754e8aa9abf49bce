//! Lists: their entries, or what is wanted of those.

use super::{Field, Id, List, Written};

/// A list without those entries that are of another type.
impl<'de, T> Field<'de> for Vec<T>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        !self.is_empty()
    }

    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        let mut entry: Option<T> = None;
        while list.entry(&mut entry)? {
            if let Some(entry) = entry.take() {
                // Most lists have one entry.
                if self.is_empty() {
                    self.reserve_exact(1);
                }
                self.push(entry);
            }
        }
        Ok(())
    }
}

impl<'de, T> Field<'de> for Option<Vec<T>>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<L: List<'de>>(&mut self, list: L) -> Result<(), L::Error> {
        self.insert(Vec::new()).list(list)
    }
}

/// How many objects a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count(pub(crate) u32);

impl<'de> Field<'de> for Count {
    fn is_filled(&self) -> bool {
        self.0 > 0
    }

    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        let mut entry = Written::default();
        while list.entry(&mut entry)? {
            self.0 = self.0.saturating_add(u32::from(entry.0.is_object()));
        }
        Ok(())
    }
}

/// Whether a list has an entry that is not null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NotEmpty(pub(crate) bool);

impl<'de> Field<'de> for NotEmpty {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        let mut entry = Written::default();
        while list.entry(&mut entry)? {
            self.0 |= entry.0.bytes() != b"null";
        }
        Ok(())
    }
}

/// The smallest of a list of ids: that of the first of a post's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FirstId(pub(crate) Option<u64>);

impl<'de> Field<'de> for FirstId {
    fn is_filled(&self) -> bool {
        self.0.is_some()
    }

    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        let mut id: Option<Id<'de>> = None;
        while list.entry(&mut id)? {
            if let Some(id) = id.take().as_ref().and_then(Id::number) {
                self.0 = Some(self.0.map_or(id, |first| first.min(id)));
            }
        }
        Ok(())
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

    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        let mut number: Option<f64> = None;
        while list.entry(&mut number)? {
            if let (Some(place), Some(number)) = (self.list.get_mut(self.len), number.take()) {
                *place = number;
            }
            self.len += 1;
        }
        Ok(())
    }
}

impl<'de> Field<'de> for Option<Numbers> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<L: List<'de>>(&mut self, list: L) -> Result<(), L::Error> {
        self.insert(Numbers::default()).list(list)
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
