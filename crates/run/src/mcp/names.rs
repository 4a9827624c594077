//! The names by which a model calls the tools of MCP servers.

use std::collections::{BTreeMap, BTreeSet};

/// How long a name may be: what all providers take.
const MAX: usize = 64;

/// A tool with the name by which the model calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The server.
    pub(crate) server: String,
    /// The tool, by its server's name for it.
    pub(crate) tool: String,
    /// The name that the model is offered.
    pub(crate) offered: String,
}

/// Names tools: by their own names, and with their server's where two would have the same, or one would have that of a tool
/// that is built in. Whatever a tool is called here, permissions know it by [`permission_name`].
pub(crate) fn named<'t>(
    tools: impl Iterator<Item = (&'t str, &'t str)> + Clone,
    taken: &[&str],
) -> Vec<Named> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (_, tool) in tools.clone() {
        *count.entry(fitting(tool)).or_default() += 1;
    }
    let mut used: BTreeSet<String> = taken.iter().map(|&name| name.to_owned()).collect();
    let mut all = Vec::new();
    for (server, tool) in tools {
        let plain = fitting(tool);
        let alone = count.get(&plain) == Some(&1) && !used.contains(&plain);
        let mut offered = if alone { plain } else { fitting(&permission_name(server, tool)) };
        let base = offered.clone();
        for n in 2.. {
            if !used.contains(&offered) {
                break;
            }
            let end = format!("_{n}");
            offered = format!("{}{end}", &base[..base.len().min(MAX - end.len())]);
        }
        used.insert(offered.clone());
        all.push(Named { server: server.to_owned(), tool: tool.to_owned(), offered });
    }
    all
}

/// The name of a tool in permissions: from it rules read the server and the tool.
pub(crate) fn permission_name(server: &str, tool: &str) -> String {
    format!("mcp__{server}__{tool}")
}

/// A name of the characters that providers take, and not too long.
fn fitting(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().map(fits).take(MAX).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offered(tools: &[(&str, &str)]) -> Vec<String> {
        named(tools.iter().copied(), &["read", "shell"]).into_iter().map(|named| named.offered).collect()
    }

    #[test]
    fn a_tool_has_its_own_name_unless_another_has_it_too() {
        assert_eq!(offered(&[("a", "echo"), ("b", "add")]), ["echo", "add"]);
        assert_eq!(offered(&[("a", "echo"), ("b", "echo")]), ["mcp__a__echo", "mcp__b__echo"]);
        assert_eq!(offered(&[("a", "read")]), ["mcp__a__read"], "the tool that is built in keeps its name");
        assert_eq!(offered(&[("a.b", "x.y"), ("a.b", "x y")]), ["mcp__a_b__x_y", "mcp__a_b__x_y_2"]);
    }

    proptest! {
        #[test]
        fn names_are_unique_and_such_as_providers_take(
            tools in prop::collection::vec(("[a-c]{1,2}", "\\PC{0,3}|[a-b]{60,70}"), 0..12)
        ) {
            let names = named(tools.iter().map(|(a, b)| (a.as_str(), b.as_str())), &["a"]);
            prop_assert_eq!(names.len(), tools.len());
            let set: BTreeSet<_> = names.iter().map(|named| &named.offered).collect();
            prop_assert_eq!(set.len(), tools.len());
            for name in set {
                prop_assert!(!name.is_empty() && name.len() <= MAX && name != "a");
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
            }
        }
    }
}
