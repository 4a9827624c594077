//! Where a value ends: what is not looked at closer is passed over, sixteen bytes at a time.
//!
//! Most of a router's work is here, so the common case is kept short: a string without escapes is one call of
//! [`find`], which most often looks once.

use wide::u8x16;

/// Where the value ends that starts here, and whether it is a string with escapes. `None` if it is malformed.
#[inline(always)]
pub(super) fn value_end(line: &[u8], start: usize) -> Option<(usize, bool)> {
    match line.get(start)? {
        b'"' => string_end(line, start + 1),
        b'{' | b'[' => Some((nested_end(line, start + 1)?, false)),
        _ => Some((plain_end(line, start)?, false)),
    }
}

/// Where the string at the top level ends whose opening quote stands before `at`, behind its closing quote, and
/// whether it has escapes. It holds no control characters.
#[inline(always)]
pub(super) fn string_end(line: &[u8], at: usize) -> Option<(usize, bool)> {
    let found = special(line, at)?;
    if line[found] == b'"' { Some((found + 1, false)) } else { Some((escaped_end(line, found)?, true)) }
}

#[inline(always)]
fn special(line: &[u8], at: usize) -> Option<usize> {
    find(line, at, |bytes| is(bytes, b'"') | is(bytes, b'\\') | is_control(bytes))
}

/// Goes on from the first byte that is special and no quote.
#[cold]
#[inline(never)]
fn escaped_end(line: &[u8], mut found: usize) -> Option<usize> {
    loop {
        match line[found] {
            b'"' => return Some(found + 1),
            b'\\' if line.get(found + 1).is_some_and(|&next| next >= 0x20) => {}
            _ => return None,
        }
        found = special(line, found + 2)?;
    }
}

/// Where the container ends whose opening bracket stands before `at`. Brackets of either kind close one another, and a
/// string inside may hold anything.
fn nested_end(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_usize;
    loop {
        let mut marked = marked(line, at, |bytes| {
            // Bit 5 makes braces of brackets, and of nothing else.
            let braces = bytes | u8x16::splat(0x20);
            is(bytes, b'"') | is(bytes, b'\\') | is(braces, b'{') | is(braces, b'}')
        })?;
        // All that the sixteen bytes hold is looked at before the next sixteen are loaded: short keys and values are
        // most of what containers hold.
        let (mut in_string, next) = (false, at + 16);
        at = next;
        while marked != 0 {
            let found = next - 16 + marked.trailing_zeros() as usize;
            marked &= marked - 1;
            match line[found] {
                b'"' => in_string = !in_string,
                // What is escaped is no mark, in the next sixteen bytes either.
                b'\\' if in_string && found + 1 == next => at += 1,
                b'\\' if in_string => marked &= !(1 << (found + 17 - next)),
                b'\\' => {}
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            if depth == 0 {
                return Some(found + 1);
            }
        }
        if in_string {
            at = inner_string_end(line, at)?;
        }
    }
}

/// How much of a string is looked at before the rest is left to `memchr`, which looks at more at once but takes longer to
/// begin.
const NEAR: usize = 128;

#[inline(always)]
fn inner_string_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = line.get(at..)?;
        let (near, far) = rest.split_at(rest.len().min(NEAR));
        at += match find(near, 0, |bytes| is(bytes, b'"') | is(bytes, b'\\')) {
            Some(found) => found,
            None => near.len() + memchr::memchr2(b'"', b'\\', far)?,
        };
        if line[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of a number or a literal.
fn plain_end(line: &[u8], start: usize) -> Option<usize> {
    let literal = |text: &[u8]| line[start..].starts_with(text).then_some(start + text.len());
    match line[start] {
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        _ => number_end(line, start),
    }
}

fn number_end(line: &[u8], at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let first = at;
        while line.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > first).then_some(at)
    };
    let mut end = at + usize::from(line.get(at) == Some(&b'-'));
    end = if line.get(end) == Some(&b'0') { end + 1 } else { digits(end)? };
    if line.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(line.get(end), Some(b'e' | b'E')) {
        end += 1;
        end = digits(end + usize::from(matches!(line.get(end), Some(b'+' | b'-'))))?;
    }
    Some(end)
}

/// The first place from `at` on that `marks` marks among sixteen bytes.
#[inline(always)]
fn find(line: &[u8], mut at: usize, marks: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    loop {
        let marked = marked(line, at, &marks)?;
        if marked != 0 {
            return Some(at + marked.trailing_zeros() as usize);
        }
        at += 16;
    }
}

/// Which of the sixteen bytes from `at` on `marks` marks, the first in the lowest bit. `None` behind the end.
#[inline(always)]
fn marked(line: &[u8], at: usize, marks: impl Fn(u8x16) -> u8x16) -> Option<u32> {
    let rest = line.get(at..)?;
    if let Some(sixteen) = rest.first_chunk() {
        return Some(marks(u8x16::new(*sixteen)).to_bitmask());
    }
    if rest.is_empty() {
        return None;
    }
    // Fewer than sixteen are looked at together with what is in front of them.
    let skip = 16 - rest.len();
    let last = line.last_chunk().copied().unwrap_or_else(|| {
        let mut last = [0; 16];
        last[skip..].copy_from_slice(rest);
        last
    });
    Some(marks(u8x16::new(last)).to_bitmask() >> skip)
}

/// Marks the bytes that are `byte`.
#[inline(always)]
fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// Marks control characters.
#[inline(always)]
fn is_control(bytes: u8x16) -> u8x16 {
    bytes.min(u8x16::splat(0x1F)).simd_eq(bytes)
}
