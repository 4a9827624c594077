//! Changes of a file, line by line.

/// A line of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// It stays.
    Same(&'a str),
    /// It goes.
    Removed(&'a str),
    /// It comes.
    Added(&'a str),
    /// So many lines that stay are not shown.
    Skipped(usize),
}

/// Lines shown around a change.
const CONTEXT: usize = 2;
/// The largest table that is filled to find the shortest change; beyond it everything between the first and the last
/// difference counts as changed.
const MAX_CELLS: usize = 250_000;

/// The lines that change, with a little around them.
pub(super) fn diff<'a>(old: &'a str, new: &'a str) -> Vec<Change<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let mut changes: Vec<_> = old[..start].iter().map(|line| Change::Same(line)).collect();
    changes.extend(middle(&old[start..old_end], &new[start..new_end]));
    changes.extend(old[old_end..].iter().map(|line| Change::Same(line)));
    fold(changes)
}

/// The shortest change, by the longest common subsequence.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Change<'a>> {
    let (rows, columns) = (old.len(), new.len());
    if rows.saturating_mul(columns) > MAX_CELLS {
        let removed = old.iter().map(|line| Change::Removed(line));
        return removed.chain(new.iter().map(|line| Change::Added(line))).collect();
    }
    // common[i][j]: how many lines old[i..] and new[j..] share, in order.
    let mut common = vec![vec![0_u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut changes = Vec::new();
    while i < rows || j < columns {
        if i < rows && j < columns && old[i] == new[j] {
            changes.push(Change::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < rows && (j == columns || common[i + 1][j] >= common[i][j + 1]) {
            changes.push(Change::Removed(old[i]));
            i += 1;
        } else {
            changes.push(Change::Added(new[j]));
            j += 1;
        }
    }
    changes
}

/// Leaves out what stays, but for the context.
fn fold(changes: Vec<Change<'_>>) -> Vec<Change<'_>> {
    let differs = |change: &Change<'_>| !matches!(change, Change::Same(_));
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        changes[from..(at + CONTEXT + 1).min(changes.len())].iter().any(differs)
    };
    let keep: Vec<bool> = (0..changes.len()).map(near).collect();
    let mut folded = Vec::new();
    for (change, keep) in changes.into_iter().zip(keep) {
        match (keep, folded.last_mut()) {
            (true, _) => folded.push(change),
            (false, Some(Change::Skipped(lines))) => *lines += 1,
            (false, _) => folded.push(Change::Skipped(1)),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(old: &str, new: &str) -> String {
        let line = |change: &Change<'_>| match change {
            Change::Same(text) => format!("  {text}"),
            Change::Removed(text) => format!("- {text}"),
            Change::Added(text) => format!("+ {text}"),
            Change::Skipped(lines) => format!("@ {lines}"),
        };
        diff(old, new).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn changes_are_shown_with_a_little_around_them() {
        insta::assert_snapshot!(show("1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\nfive\n6\n7\n8\n9"), @r"
        @ 2
          3
          4
        - 5
        + five
          6
          7
        @ 2
        ");
        insta::assert_snapshot!(show("", "a\nb"), @r"
        + a
        + b
        ");
        insta::assert_snapshot!(show("a\nb\nc", "b\nc\nd"), @r"
        - a
          b
          c
        + d
        ");
    }

    proptest! {
        #[test]
        fn what_stays_and_comes_is_the_new_text(old in "([a-c]\n){0,12}", new in "([a-c]\n){0,12}") {
            let (a, b): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
            let changes = middle(&a, &b);
            let kept = |pick: fn(&Change<'_>) -> bool| -> Vec<String> {
                let text = |change: &Change<'_>| match change {
                    Change::Same(text) | Change::Removed(text) | Change::Added(text) => (*text).to_owned(),
                    Change::Skipped(_) => unreachable!("nothing is folded yet"),
                };
                changes.iter().filter(|change| pick(change)).map(text).collect()
            };
            prop_assert_eq!(kept(|change| !matches!(change, Change::Removed(_))), b);
            prop_assert_eq!(kept(|change| !matches!(change, Change::Added(_))), a);
        }

        #[test]
        fn a_huge_change_is_still_told(lines in 600..700_usize) {
            let old: String = (0..lines).map(|n| format!("{n}\n")).collect();
            let new: String = (0..lines).map(|n| format!("x{n}\n")).collect();
            prop_assert_eq!(diff(&old, &new).len(), 2 * lines);
        }
    }
}
