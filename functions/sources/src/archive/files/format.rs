//! The format of a file, by its first bytes.

use super::text::Order;
use super::unpack::Packing;

/// How much of a file is looked at.
pub(super) const HEAD_BYTES: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Packed(Packing),
    Tar,
    Zip,
    Utf16(Order),
    /// UTF-8, or what is read as such.
    Text,
    /// Known, or known to be no text, and not read.
    Other(Other),
}

/// A format that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Such as "a PDF document".
    pub name: &'static str,
    /// What to do with it; may be empty.
    pub remedy: &'static str,
    /// Whether posts may be lost when it is left out.
    pub(super) may_hold_posts: bool,
}

const fn other(name: &'static str, remedy: &'static str) -> Other {
    Other { name, remedy, may_hold_posts: !remedy.is_empty() }
}

const TABLE: &str = "write it as JSON, one object a line";
const UNPACK: &str = "unpack it first";

/// First bytes, and what they are the first bytes of.
const SIGNATURES: &[(&[u8], Other)] = &[
    (b"7z\xbc\xaf\x27\x1c", other("a 7z archive", "unpack it with 7z x")),
    (b"Rar!\x1a\x07", other("a RAR archive", "unpack it with unrar x")),
    (b"\x04\x22\x4d\x18", other("an lz4 file", "unpack it with lz4 -d")),
    (b"\x02\x21\x4c\x18", other("an lz4 file", "unpack it with lz4 -d")),
    (b"\x1f\x9d", other("a compress file (.Z)", "unpack it with gzip -d")),
    (b"\x1f\xa0", other("an LZH file (.Z)", UNPACK)),
    (b"\x89LZO\0", other("an lzop file", "unpack it with lzop -d")),
    (b"\xff\x06\0\0sNaPpY", other("a snappy file", "unpack it with snzip -d")),
    (b"LRZI", other("an lrzip file", "unpack it with lrzip -d")),
    (b"MSCF", other("a cabinet file", "unpack it with cabextract")),
    (b"xar!", other("a xar archive", UNPACK)),
    (b"!<arch>\n", other("an ar archive", "unpack it with ar x")),
    (b"070701", other("a cpio archive", "unpack it with cpio -i")),
    (b"070707", other("a cpio archive", "unpack it with cpio -i")),
    (b"\xed\xab\xee\xdb", other("an RPM package", UNPACK)),
    (b"PAR1", other("a Parquet file", TABLE)),
    (b"ARROW1", other("an Arrow file", TABLE)),
    (b"FEA1", other("a Feather file", TABLE)),
    (b"Obj\x01", other("an Avro file", TABLE)),
    (b"ORC", other("an ORC file", TABLE)),
    (b"SQLite format 3\0", other("an SQLite database", TABLE)),
    (b"\x89HDF\r\n\x1a\n", other("an HDF5 file", TABLE)),
    (b"\x93NUMPY", other("a NumPy array", TABLE)),
    (b"RDX2\n", other("an R data file", TABLE)),
    (b"RDX3\n", other("an R data file", TABLE)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", other("an old Office document, such as .xls", TABLE)),
    (b"PGDMP", other("a PostgreSQL dump", TABLE)),
    (b"-- MySQL dump", other("an SQL dump", TABLE)),
    (b"-- PostgreSQL", other("an SQL dump", TABLE)),
    (b"bplist00", other("a binary property list", TABLE)),
    (b"WARC/", other("a web archive (WARC)", "write the JSON bodies as lines")),
    (b"-----BEGIN PGP MESSAGE", other("encrypted by PGP", "decrypt it with gpg -d")),
    (b"\x85\x01", other("encrypted by PGP", "decrypt it with gpg -d")),
    (b"\x85\x02", other("encrypted by PGP", "decrypt it with gpg -d")),
    (b"\x8c\x0d\x04", other("encrypted by PGP", "decrypt it with gpg -d")),
    (b"age-encryption.org/", other("encrypted by age", "decrypt it with age -d")),
    (b"Salted__", other("encrypted by OpenSSL", "decrypt it with openssl enc -d")),
    (
        b"version https://git-lfs.github.com/spec/",
        other("a Git LFS pointer and not the file itself", "run git lfs pull"),
    ),
    (b"d8:announce", other("a torrent and not the file itself", "load it with a torrent client")),
    (b"%PDF-", other("a PDF document", "")),
    (b"{\\rtf", other("an RTF document", "")),
    (b"\x89PNG\r\n\x1a\n", other("a PNG picture", "")),
    (b"\xff\xd8\xff", other("a JPEG picture", "")),
    (b"GIF8", other("a GIF picture", "")),
    (b"RIFF", other("a picture, sound or film (RIFF)", "")),
    (b"\x1a\x45\xdf\xa3", other("a film (Matroska)", "")),
    (b"OggS", other("a sound or film (Ogg)", "")),
    (b"ID3", other("a sound (MP3)", "")),
    (b"\0\0\x01\0", other("an icon", "")),
    (b"wOFF", other("a font", "")),
    (b"wOF2", other("a font", "")),
    (b"\x7fELF", other("a program (ELF)", "")),
    (b"MZ", other("a program (Windows)", "")),
    (b"\xcf\xfa\xed\xfe", other("a program (macOS)", "")),
    (b"\xca\xfe\xba\xbe", other("a program (Java or macOS)", "")),
    (b"#!", other("a script", "")),
];

/// An Excel workbook is a zip, recognized by its members.
pub(super) const WORKBOOK: Other = other("a workbook (.xlsx, .ods)", TABLE);

impl Format {
    pub(super) fn of(head: &[u8]) -> Self {
        if let Some(packing) = Packing::ALL.into_iter().find(|packing| packing.begins(head)) {
            return Self::Packed(packing);
        }
        if [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08", b"PK00PK\x03\x04"]
            .iter()
            .any(|magic| head.starts_with(magic))
        {
            return Self::Zip;
        }
        match head {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
                return Self::Other(other("UTF-32 text", "convert it with iconv -f UTF-32 -t UTF-8"));
            }
            [0xff, 0xfe, ..] => return Self::Utf16(Order::Little),
            [0xfe, 0xff, ..] => return Self::Utf16(Order::Big),
            // Without a mark (RFC 4627, section 3): JSON starts with two characters of ASCII.
            [b'{' | b'[' | b'\r' | b'\n' | b' ', 0, 1..=0x7f, 0, ..] => return Self::Utf16(Order::Little),
            [0, b'{' | b'[' | b'\r' | b'\n' | b' ', 0, 1..=0x7f, ..] => return Self::Utf16(Order::Big),
            _ => (),
        }
        if is_tar(head) {
            return Self::Tar;
        }
        if let Some((_, other)) = SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Self::Other(*other);
        }
        other_binary(head).or_else(|| other_text(head)).map_or(Self::Text, Self::Other)
    }
}

/// A header whose sum is right, or nothing but the zeros of an empty archive.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.first_chunk::<512>() else { return false };
    let digits = &header[148..156];
    let digits = digits.iter().skip_while(|byte| **byte == b' ').take_while(|byte| (b'0'..=b'7').contains(byte));
    let (mut stated, mut has_digits) = (0u32, false);
    for digit in digits {
        stated = stated.wrapping_mul(8).wrapping_add(u32::from(digit - b'0'));
        has_digits = true;
    }
    let blank = 8 * u32::from(b' ');
    let sum = blank + header[..148].iter().chain(&header[156..]).map(|byte| u32::from(*byte)).sum::<u32>();
    has_digits && stated == sum && sum > blank
}

fn other_binary(head: &[u8]) -> Option<Other> {
    if head.len() > 8 && head[4..8] == *b"ftyp" {
        return Some(other("a film or picture (MP4, HEIC)", ""));
    }
    if matches!(head, [0x80, 2..=5, 0x95 | b'}' | b']' | b'c' | b'(' | b'q' | 0x8c, ..]) {
        return Some(other("a Python pickle", TABLE));
    }
    // mongodump: a length, then a field of a usual type, whose name is a word.
    if let [a, b, c, d, 1..=0x12, name, ..] = head
        && (5..=16 << 20).contains(&u32::from_le_bytes([*a, *b, *c, *d]))
        && (name.is_ascii_alphanumeric() || *name == b'_')
        && head[5..].iter().take(64).any(|byte| *byte == 0)
    {
        return Some(other("BSON, as mongodump writes it", "convert it with bsondump"));
    }
    let text = text_of(head);
    if looks_like_json(text) {
        return None;
    }
    let is_odd = |byte: &&u8| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1d | 0x1f | 0x7f);
    let odd = text.iter().filter(is_odd).count();
    let is_text = std::str::from_utf8(text).map_or_else(|error| error.error_len().is_none(), |_| true);
    (text.contains(&0) || (!is_text && odd * 20 > text.len())).then_some(other("binary data of no known format", ""))
}

fn other_text(head: &[u8]) -> Option<Other> {
    let text = text_of(head);
    let begin = text[..text.len().min(64)].to_ascii_lowercase();
    if begin.starts_with(b"<!doctype html") || begin.starts_with(b"<html") || begin.starts_with(b"<head") {
        let remedy = "a download often saves an error or login page under the file's name";
        return Some(Other { may_hold_posts: false, ..other("an HTML page", remedy) });
    }
    if begin.starts_with(b"<?xml") || begin.starts_with(b"<!doctype") || begin.starts_with(b"<svg") {
        return Some(Other { may_hold_posts: false, ..other("an XML document", TABLE) });
    }
    is_table(text).then_some(other("a table (CSV or TSV)", "replay reads the JSON of the X API, not tables made of it"))
}

/// Columns that tables of posts have; any one of them will do.
const COLUMNS: &[&str] = &[
    "id",
    "id_str",
    "tweet_id",
    "tweetid",
    "status_id",
    "post_id",
    "text",
    "full_text",
    "tweet",
    "content",
    "created_at",
    "date",
    "datetime",
    "timestamp",
    "time",
    "author_id",
    "user_id",
    "userid",
    "user",
    "username",
    "screen_name",
    "user_name",
    "lang",
    "language",
    "retweet_count",
    "hashtags",
    "conversation_id",
    "url",
    "tweet_url",
];

/// Whether the first line names columns, as that of most tables of posts does.
fn is_table(text: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let Ok(line) = std::str::from_utf8(&text[..end]) else { return false };
    let line = line.trim_end();
    let Some(mark) = [',', '\t', ';', '|'].into_iter().max_by_key(|mark| line.matches(*mark).count()) else {
        return false;
    };
    let cells: Vec<_> = line.split(mark).map(|cell| cell.trim().trim_matches(['"', '\''])).collect();
    let is_name = |cell: &&str| {
        cell.len() <= 64
            && cell.chars().all(|c| {
                c.is_alphanumeric() || matches!(c, '_' | '.' | ' ' | '-' | '/' | '[' | ']' | '#' | ':' | '(' | ')')
            })
    };
    let known = cells.iter().filter(|cell| COLUMNS.contains(&&*cell.to_lowercase().replace(' ', "_"))).count();
    cells.len() >= 2 && cells.iter().all(is_name) && known >= 1 && (cells.len() > 2 || known == 2)
}

/// What comes behind zeros, marks and white space.
fn text_of(head: &[u8]) -> &[u8] {
    let begin = |byte: &u8| !matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n' | 0x1e | 0xef | 0xbb | 0xbf);
    &head[head.iter().position(begin).unwrap_or(head.len())..]
}

/// Whether a text or line starts like a JSON object, or like an assignment of one.
fn looks_like_json(text: &[u8]) -> bool {
    let text = text_of(text);
    let behind =
        |text: &[u8], open: u8| text.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != open).copied();
    match text.first() {
        Some(b'{') => matches!(behind(&text[1..], 0), Some(b'"' | b'}') | None),
        Some(b'[') => matches!(behind(text, b'['), Some(b'{' | b']') | None),
        Some(byte) if byte.is_ascii_alphabetic() => {
            let name = text
                .iter()
                .take(200)
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"._$ \t".contains(byte))
                .count();
            text.get(name) == Some(&b'=') && matches!(behind(&text[name + 1..], 0), Some(b'[' | b'{'))
        }
        _ => false,
    }
}

/// The part of an account's own export that this is, when it is one that has no posts: `follower` of
/// `window.YTD.follower.part0 = [`.
pub(super) fn other_part_of_export(head: &[u8]) -> Option<String> {
    let text = text_of(head);
    if text.starts_with(b"window.__THAR_CONFIG") {
        return Some("manifest".to_owned());
    }
    let name = text.strip_prefix(b"window.YTD.")?;
    let name = &name[..name.iter().take(64).position(|byte| *byte == b'.')?];
    let name = std::str::from_utf8(name).ok()?;
    (!["tweet", "tweets", "community_tweet", "note_tweet"].contains(&name)).then(|| name.to_owned())
}

/// Whether a file in a folder, which the user did not name, seems to contain posts: it starts like JSON, or half of its
/// first lines do.
pub(super) fn seems_to_hold_posts(head: &[u8]) -> bool {
    // A file that starts with zeros may have posts behind them.
    if looks_like_json(head) || text_of(head).is_empty() {
        return true;
    }
    let lines = || head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(20);
    lines().filter(|line| looks_like_json(line)).count() * 2 >= lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> &'static str {
        match Format::of(head) {
            Format::Other(other) => other.name,
            _ => "",
        }
    }

    #[test]
    fn formats_that_are_not_read_have_a_name() {
        for (head, what) in [
            (&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "7z"),
            (b"  <!DOCTYPE html><html>", "HTML"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"id,created_at,text\n1,2,3\n", "CSV"),
            (b"\"Tweet ID\";\"Text\"\n", "CSV"),
            (b"tweet_id\ttext\n", "CSV"),
            (b"\x16\0\0\0\x02_id\0\x05\0\0\0five\0\0", "BSON"),
            (b"\x80\x04\x95\x10\0\0\0", "pickle"),
            (b"\0\x01\x02\x03\0\x01", "binary"),
            (b"{\\rtf1\\ansi", "RTF"),
            (b"SQLite format 3\0\x10\0", "SQLite"),
        ] {
            assert!(name(head).contains(what), "{what}: {:?}", Format::of(head));
        }
    }

    #[test]
    fn texts_are_texts_whatever_their_first_bytes() {
        for head in [
            &b""[..],
            b"\n\n{\"id\":\"1\"}",
            b"\xef\xbb\xbf[{\"id\":\"1\"}]",
            b"\0\0\0{\"id\":\"1\"}",
            b"a plain text, with commas, of course\n",
            b"the first line is text\n{\"id\":1}",
            b"{\"text\":\"\x01\x02\"}",
            "[\"é\"]".as_bytes(),
            b"caf\xe9 in Latin-1",
            b"window.YTD.tweets.part0 = [ {",
        ] {
            assert_eq!(Format::of(head), Format::Text, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn only_posts_of_an_export_are_read() {
        assert_eq!(other_part_of_export(b"window.YTD.tweets.part0 = [ {"), None);
        assert_eq!(other_part_of_export(b"window.YTD.tweet.part12 = [ {"), None);
        assert_eq!(other_part_of_export(b"window.YTD.follower.part0 = [ {").as_deref(), Some("follower"));
        assert_eq!(other_part_of_export(b"{\"id\":1}"), None);
    }

    #[test]
    fn json_is_known_among_other_texts() {
        for head in [
            &b"{\"id\":1}\n"[..],
            b"{\n  \"data\": [",
            b"[\n[\n{",
            b"[]",
            b"ext\":\"cut\"}}\n{\"id\":1}\n{\"id\":2}\n",
            b"Grailbird.data.tweets_2014_01 = \n [ {",
            b"\x1e{\"id\":1}\n",
        ] {
            assert!(seems_to_hold_posts(head), "{}", String::from_utf8_lossy(head));
        }
        for head in [
            &b"[[region]]\nid = \"x\"\nname = \"y\"\n"[..],
            b"# Read me\n\nThis is the archive of\n\n{\"id\":1}\n",
            b"[INFO] started\n[INFO] stopped\n",
            b"d41d8cd98f00b204e9800998ecf8427e  a.json\n",
        ] {
            assert!(!seems_to_hold_posts(head), "{}", String::from_utf8_lossy(head));
        }
    }
}
