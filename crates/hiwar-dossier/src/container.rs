//! The tar archive around a dossier: POSIX ustar, regular files only, and exactly one possible
//! header for each name and size.
//!
//! Sizes from 8 GiB on are written in the base-256 form that GNU, BSD and Python tar read; below
//! that the archive is plain ustar.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// Tar archives are made of blocks of this many bytes.
const BLOCK: usize = 512;

/// The header of a member.
pub(crate) fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// How many zero bytes follow a member of `size` bytes.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

/// Writes members one after the other.
pub(crate) struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes one member whose `body` writes exactly `size` bytes.
    pub(crate) fn member(
        &mut self,
        name: &str,
        size: u64,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.out.write_all(header(name, size)?.as_bytes())?;
        body(&mut self.out)?;
        self.out.write_all([0; BLOCK].get(..padding(size)).unwrap_or_default())
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }
}

/// Why reading could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    #[error("it is no tar archive; a dossier is a tar archive, or one compressed with gzip")]
    NotTar,
    #[error(
        "it ends at byte {at}, in the middle of {part}; it was cut off: copy the whole file again and compare the sizes"
    )]
    CutOff { at: u64, part: String },
    #[error("the header at byte {at} is damaged beyond reading")]
    BadHeader { at: u64 },
    #[error("reading stopped at byte {at}: {why}")]
    Read { at: u64, why: String },
}

/// What a member's header says.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its name as given.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// What is wrong with the header, when the member can be read all the same.
    pub(crate) problem: Option<String>,
}

/// Reads members one after the other; nothing is ever unpacked.
pub(crate) struct Reader<R> {
    input: R,
    position: u64,
    name: String,
    left: u64,
    padding: usize,
    first: bool,
    /// Whether the bytes between members were all zero so far.
    pub(crate) clean: bool,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, position: 0, name: String::new(), left: 0, padding: 0, first: true, clean: true }
    }

    /// Moves to the next member; none at the end of the archive. A header whose checksum is wrong
    /// is taken for the one `expected`, so that one changed byte does not spoil what follows.
    pub(crate) fn next(&mut self, expected: Option<(String, u64)>) -> Result<Option<Found>, ContainerError> {
        self.skip_rest()?;
        let at = self.position;
        let mut block = [0_u8; BLOCK];
        let read = self.fill(&mut block)?;
        if read < BLOCK {
            return Err(match self.first {
                true => ContainerError::NotTar,
                false => ContainerError::CutOff { at: self.position, part: "the headers".into() },
            });
        }
        if block == [0; BLOCK] {
            return if self.first { Err(ContainerError::NotTar) } else { Ok(None) };
        }
        let found = read_header(&block, expected).ok_or(match self.first {
            true => ContainerError::NotTar,
            false => ContainerError::BadHeader { at },
        })?;
        self.first = false;
        self.name.clone_from(&found.name);
        self.left = found.size;
        self.padding = padding(found.size);
        Ok(Some(found))
    }

    /// Reads what follows the last member: one more block of zeros and nothing else.
    pub(crate) fn finish(mut self) -> Result<Option<&'static str>, ContainerError> {
        let mut block = [0_u8; BLOCK];
        if self.fill(&mut block)? < BLOCK {
            return Ok(Some("the two blocks of zeros at its end are not complete"));
        }
        if block != [0; BLOCK] {
            return Ok(Some("something follows after its end"));
        }
        let more = self.fill(&mut block)?;
        Ok((more > 0).then_some("something follows after its end"))
    }

    fn skip_rest(&mut self) -> Result<(), ContainerError> {
        let mut buffer = [0_u8; 8192];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stopped(&error)),
            }
        }
        let mut block = [0_u8; BLOCK];
        let wanted = std::mem::take(&mut self.padding);
        let zeros = block.get_mut(..wanted).unwrap_or_default();
        if self.fill(zeros)? < wanted {
            return Err(ContainerError::CutOff { at: self.position, part: self.name.clone() });
        }
        self.clean &= block == [0; BLOCK];
        Ok(())
    }

    /// The reason behind an error from reading a member.
    pub(crate) fn stopped(&self, error: &io::Error) -> ContainerError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            ContainerError::CutOff { at: self.position, part: self.name.clone() }
        } else {
            ContainerError::Read { at: self.position, why: error.to_string() }
        }
    }

    /// Fills `buffer` as far as the input goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ContainerError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.position += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stopped(&error)),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Read for Reader<R> {
    /// Reads from the current member. An archive that ends before the member does is an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.input.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

/// Reads a header, as far as it can be understood.
fn read_header(block: &[u8; BLOCK], expected: Option<(String, u64)>) -> Option<Found> {
    let given = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(i, b)| u32::from(if (148..156).contains(&i) { b' ' } else { *b }))
        .sum();
    let intact = given.cksum().is_ok_and(|stated| stated == sum);
    let name = String::from_utf8_lossy(&given.path_bytes()).into_owned();
    let size = given.entry_size().ok();
    let same = |name: &str, size| header(name, size).is_ok_and(|right| right.as_bytes() == block);
    match (intact, size, expected) {
        (true, Some(size), _) if same(&name, size) => Some(Found { name, size, problem: None }),
        (true, Some(size), _) => {
            let problem = match given.entry_type() {
                EntryType::Regular => "its header is not the one that this format prescribes".to_owned(),
                other => format!("it is no regular file (type {:?})", char::from(other.as_byte())),
            };
            Some(Found { name, size, problem: Some(problem) })
        }
        (_, _, Some((name, size))) => {
            Some(Found { name, size, problem: Some("its header is damaged".to_owned()) })
        }
        (false, Some(size), None) if given.as_ustar().is_some() => {
            Some(Found { name, size, problem: Some("its header is damaged".to_owned()) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_8_gib_on_read_back() {
        for size in [0, 1, 0o77_777_777_777, 8 << 30, (10 << 30) + 1, u64::MAX >> 1] {
            let header = header("attachments/x", size).unwrap();
            assert_eq!(header.entry_size().unwrap(), size);
            assert_eq!(Header::from_byte_slice(header.as_bytes()).entry_size().unwrap(), size);
        }
    }

    #[test]
    fn a_common_reader_opens_the_archive() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        writer.member("README.txt", 5, |out| out.write_all(b"hello")).unwrap();
        writer.member("dossier.json", 0, |_| Ok(())).unwrap();
        writer.finish().unwrap();
        assert_eq!(bytes.len(), 2 * BLOCK + BLOCK + 2 * BLOCK);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["README.txt", "dossier.json"]);
    }
}
