//! Server-sent events out of lines (WHATWG HTML, section 9.2), in bounded memory.

use crate::lines::Piece;

/// The lines of one event.
#[derive(Debug)]
pub(crate) struct Event {
    limit_bytes: usize,
    name: Vec<u8>,
    data: Vec<u8>,
    is_too_long: bool,
}

impl Event {
    /// An empty event, whose data has at most this many bytes.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, name: vec![], data: vec![], is_too_long: false }
    }

    /// Adds a line. `true` when the event is complete.
    pub(crate) fn add(&mut self, piece: Piece<'_>) -> bool {
        let line = match piece {
            Piece::Oversize(head) => {
                self.is_too_long = !head.starts_with(b":");
                self.data = head[..head.len().min(512)].to_vec();
                return false;
            }
            Piece::Line(line) => line,
        };
        if line.is_empty() {
            let is_event = self.is_too_long || !self.name.is_empty() || !self.data.is_empty();
            return is_event;
        }
        let value = |name: &[u8]| line.strip_prefix(name).map(|value| value.strip_prefix(b" ").unwrap_or(value));
        if let Some(name) = value(b"event:") {
            self.name = name.to_vec();
        } else if let Some(data) = value(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            // Many lines may be too long, too.
            if self.data.len() + data.len() > self.limit_bytes {
                self.is_too_long = true;
            } else {
                self.data.extend_from_slice(data);
            }
        }
        // Anything else is a comment, such as the heartbeat, or a field that has no meaning here.
        false
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Whether the data is longer than the limit, so that `data` is only the head of it.
    pub(crate) fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    pub(crate) fn clear(&mut self) {
        self.name.clear();
        self.data.clear();
        self.is_too_long = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as name and data, one that is too long with a `!`.
    fn events(limit_bytes: usize, lines: &[&str]) -> Vec<String> {
        let (mut event, mut found) = (Event::new(limit_bytes), vec![]);
        for line in lines {
            if event.add(Piece::Line(line.as_bytes())) {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let mark = if event.is_too_long() { "!" } else { "" };
                found.push(format!("{} {}{mark}", text(event.name()), text(event.data())));
                event.clear();
            }
        }
        found
    }

    #[test]
    fn comments_and_unknown_fields_are_no_events() {
        assert_eq!(
            events(9, &[":thump", "", "id: 7", "", "event: a", "data: 1", "data:2", "", "event: b", ""]),
            ["a 1\n2", "b "]
        );
    }

    #[test]
    fn data_is_bounded_however_many_lines_it_has() {
        assert_eq!(events(4, &["data: 12345", "", "data: 12", "data: 34", "", "data: 1", ""]), [" !", " 12\n!", " 1"]);
    }
}
