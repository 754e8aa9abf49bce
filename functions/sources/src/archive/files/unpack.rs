//! Compressed files of one content: gzip, bzip2, xz, zstd, lzma and lzip, of one part or of several.

use std::io::{self, BufRead, Read};

/// A compressed format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    /// Of before xz; nothing in its first bytes is certain.
    Lzma,
    Lzip,
}

/// Memory that an xz file may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY_BYTES: u64 = 256 << 20;

impl Packing {
    pub(super) const ALL: [Self; 6] = [Self::Gzip, Self::Bzip2, Self::Xz, Self::Zstd, Self::Lzma, Self::Lzip];

    /// Whether a file, or a part of one, starts like this.
    pub(super) fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(&[0x1f, 0x8b, 8]),
            // A block of data, or the end of a stream that has none.
            Self::Bzip2 => {
                head.len() >= 10
                    && head.starts_with(b"BZh")
                    && (b'1'..=b'9').contains(&head[3])
                    && (head[4..10] == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]
                        || head[4..10] == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
            }
            Self::Xz => head.starts_with(b"\xfd7zXZ\0"),
            // A frame, or one to be skipped (RFC 8878, 3.1).
            Self::Zstd => {
                head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || (head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18])
            }
            // The usual properties, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and the size or that it is not known.
            Self::Lzma => {
                head.len() >= 13 && head[0] == 0x5d && head[1..3] == [0, 0] && {
                    let dictionary = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
                    let has_size = head[5..13] == [0xff; 8] || head[10..13] == [0; 3];
                    dictionary >= 1 << 16 && dictionary.count_ones() <= 2 && has_size
                }
            }
            Self::Lzip => head.starts_with(b"LZIP\x01"),
        }
    }
}

/// Reads the parts of a compressed file one after the other, with zeros between and behind them (gzip's manual, "Tapes").
pub(super) struct Unpacked<R: BufRead> {
    packing: Packing,
    part: Part<R>,
}

enum Part<R: BufRead> {
    Gzip(flate2::bufread::GzDecoder<R>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
    Xz(liblzma::bufread::XzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
    Over,
}

impl<R: BufRead> Part<R> {
    fn new(packing: Packing, reader: R) -> io::Result<Self> {
        use liblzma::stream::Stream;
        let stream = match packing {
            Packing::Gzip => return Ok(Self::Gzip(flate2::bufread::GzDecoder::new(reader))),
            Packing::Bzip2 => return Ok(Self::Bzip2(bzip2::bufread::BzDecoder::new(reader))),
            Packing::Zstd => {
                return Ok(Self::Zstd(zstd::stream::read::Decoder::with_buffer(reader)?.single_frame()));
            }
            Packing::Xz => Stream::new_stream_decoder(XZ_MEMORY_BYTES, 0),
            Packing::Lzma => Stream::new_lzma_decoder(XZ_MEMORY_BYTES),
            Packing::Lzip => Stream::new_lzip_decoder(XZ_MEMORY_BYTES, 0),
        };
        Ok(Self::Xz(liblzma::bufread::XzDecoder::new_stream(reader, stream?)))
    }

    fn into_inner(self) -> Option<R> {
        match self {
            Self::Gzip(part) => Some(part.into_inner()),
            Self::Bzip2(part) => Some(part.into_inner()),
            Self::Xz(part) => Some(part.into_inner()),
            Self::Zstd(part) => Some(part.finish()),
            Self::Over => None,
        }
    }
}

impl<R: BufRead> Unpacked<R> {
    pub(super) fn new(packing: Packing, reader: R) -> io::Result<Self> {
        Ok(Self { packing, part: Part::new(packing, reader)? })
    }

    /// Goes on to the next part behind one that has ended.
    fn next_part(&mut self) -> io::Result<()> {
        let Some(mut reader) = std::mem::replace(&mut self.part, Part::Over).into_inner() else { return Ok(()) };
        loop {
            let more = reader.fill_buf()?;
            if more.is_empty() {
                return Ok(());
            }
            let zeros = more.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                break;
            }
            reader.consume(zeros);
        }
        // The first bytes of the next part may not be there yet; a wrong one is the decoder's error.
        let more = reader.fill_buf()?;
        if more.len() >= 16 && !self.packing.begins(more) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what follows its end is something else"));
        }
        self.part = Part::new(self.packing, reader)?;
        Ok(())
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let n = match &mut self.part {
                Part::Gzip(part) => part.read(buffer),
                Part::Bzip2(part) => part.read(buffer),
                Part::Xz(part) => part.read(buffer),
                Part::Zstd(part) => part.read(buffer),
                Part::Over => return Ok(0),
            }?;
            if n > 0 {
                return Ok(n);
            }
            self.next_part()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
        match packing {
            Packing::Gzip => {
                let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Packing::Bzip2 => {
                let mut out = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Packing::Xz | Packing::Lzip => {
                let mut out = liblzma::write::XzEncoder::new(vec![], 0);
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Packing::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Packing::Lzma => {
                let options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
                let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
                let mut out = liblzma::write::XzEncoder::new_stream(vec![], stream);
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
        }
    }

    fn unpacked(packing: Packing, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = vec![];
        // A buffer of seven bytes: parts start and end anywhere in it.
        Unpacked::new(packing, BufReader::with_capacity(7, bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn parts_and_zeros_behind_them_are_read() {
        for packing in [Packing::Gzip, Packing::Bzip2, Packing::Xz, Packing::Zstd] {
            let (first, second) = (packed(packing, b"one\n"), packed(packing, b"two\n"));
            assert!(packing.begins(&first), "{packing:?}");
            let all = [&*first, &second, &[0; 512], &packed(packing, b""), &[0; 4]].concat();
            assert_eq!(unpacked(packing, &all).unwrap(), b"one\ntwo\n", "{packing:?}");
            let all = [&*first, b"something that is not packed"].concat();
            let mut got = vec![];
            let mut reader = Unpacked::new(packing, &*all).unwrap();
            assert!(reader.read_to_end(&mut got).is_err(), "{packing:?}");
            assert_eq!(got, b"one\n", "{packing:?}");
            assert!(unpacked(packing, &first[..first.len() - 2]).is_err(), "{packing:?}");
        }
        let skipped = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &packed(Packing::Zstd, b"one\n")].concat();
        assert!(Packing::Zstd.begins(&skipped));
        assert_eq!(unpacked(Packing::Zstd, &skipped).unwrap(), b"one\n");
        let old = packed(Packing::Lzma, b"one\n");
        assert!(Packing::Lzma.begins(&old), "{:x?}", &old[..13]);
        assert_eq!(unpacked(Packing::Lzma, &old).unwrap(), b"one\n");
    }
}
