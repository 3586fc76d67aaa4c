//! The memory of another process, searched.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// How often `mark` stands in the memory that the process may write to; `None` where nobody may look.
pub fn count(process: u32, mark: &[u8]) -> Option<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut found = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let (start, end) = range.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        if rights.starts_with("rw") {
            found += count_within(&memory, (start, end), mark);
        }
    }
    Some(found)
}

/// The same within one range. Pages that cannot be read, or that nobody has written to, are passed over.
fn count_within(memory: &File, (start, end): (u64, u64), mark: &[u8]) -> usize {
    const PAGE: usize = 4096;
    const PIECE: usize = 256 * PAGE;
    let mut found = 0;
    let mut piece = vec![0; PIECE + mark.len()];
    for at in (start..end).step_by(PIECE) {
        // A mark that crosses the border of two pages, or of two pieces, is in the first.
        let length = ((end - at) as usize).min(PIECE + mark.len() - 1);
        let read = memory.read_at(&mut piece[..length], at).unwrap_or(0);
        for page in (0..read.min(PIECE)).step_by(PAGE) {
            if piece[page..read.min(page + PAGE)] != [0; PAGE][..read.min(page + PAGE) - page] {
                let bytes = &piece[page..read.min(page + PAGE + mark.len() - 1)];
                found += memchr::memmem::find_iter(bytes, mark).count();
            }
        }
    }
    found
}
