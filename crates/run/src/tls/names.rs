//! What this machine is called, and where it is: what a certificate may be asked for.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many addresses are taken of a machine that has more.
const MAX_ADDRESSES: usize = 32;

/// The name that the machine has given itself, and the one by which its network may find it.
#[must_use]
pub fn of_this_machine() -> Vec<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    named(name.trim())
}

/// The addresses of the machine that others may reach, as the kernel lists them.
#[must_use]
pub fn addresses() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    listed(&v4, &v6)
}

fn named(name: &str) -> Vec<String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 253
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
            && !matches!(name, "localhost" | "none")
    };
    let name = name.to_ascii_lowercase();
    if !is_name(&name) || name.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let local = (!name.contains('.')).then(|| format!("{name}.local"));
    std::iter::once(name).chain(local).collect()
}

/// Reads the kernel's tables: that of IPv4's routes, where a leaf with `/32 host LOCAL` is an address of ours, and that of IPv6's
/// addresses, whose fourth column is the scope. Those of this machine alone and those of one link are left out.
fn listed(fib_trie: &str, if_inet6: &str) -> Vec<IpAddr> {
    let mut all = Vec::new();
    let mut leaf = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            all.extend(leaf.filter(|ip| !ip.is_loopback() && !ip.is_link_local()).map(IpAddr::V4));
        }
    }
    for line in if_inet6.lines() {
        let mut columns = line.split_whitespace();
        let (address, scope) = (columns.next(), columns.nth(2));
        let address = address.and_then(|hex| u128::from_str_radix(hex, 16).ok());
        if let (Some(address), Some("00")) = (address, scope) {
            all.push(IpAddr::V6(Ipv6Addr::from(address)));
        }
    }
    let mut seen = Vec::new();
    all.retain(|ip| {
        !seen.contains(ip) && {
            seen.push(*ip);
            true
        }
    });
    all.truncate(MAX_ADDRESSES);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_tell_the_addresses_of_others_reach() {
        let v4 = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                  |-- 127.0.0.1\n /32 host LOCAL\n |-- 10.1.2.3\n /32 host LOCAL\n |-- 10.1.2.255\n /32 link BROADCAST\n\
                  Local:\n |-- 10.1.2.3\n /32 host LOCAL\n |-- 169.254.1.1\n /32 host LOCAL\n";
        let v6 = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
                  fd000000000000000000000000000002 04 40 00 82     eth0\n\
                  00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        let found: Vec<_> = listed(v4, v6).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.1.2.3", "fd00::2"]);
        assert_eq!(listed("", ""), Vec::<IpAddr>::new());
    }

    #[test]
    fn a_machines_name_is_one_that_a_network_can_ask_for() {
        assert_eq!(named("Workbench"), ["workbench", "workbench.local"]);
        assert_eq!(named("box.example"), ["box.example"]);
        for none in ["", "localhost", "my machine", "10.0.0.1", "bücher"] {
            assert_eq!(named(none), Vec::<String>::new(), "{none}");
        }
    }
}
