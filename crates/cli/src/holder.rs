//! Which process holds a port, for an error that names it.

use std::fmt;
use std::fs;

/// A process that listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: u32,
    name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that listens on a TCP port of this machine, if it can be told: another user's cannot.
pub(crate) fn of(port: u16) -> Option<Holder> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = tables.iter().flat_map(|table| table.lines()).find_map(|line| listener_inode(line, port))?;
    let wanted = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| link.as_os_str() == wanted.as_str())
    };
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pid = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| holds(*pid))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    Some(Holder { pid, name })
}

/// A row of the kernel's socket table: slot, local address, remote address, state (`0A` listens), … the inode is tenth.
fn listener_inode(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
    if listens { fields.get(9).copied() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(of(port).map(|holder| holder.pid), Some(std::process::id()));
        drop(listener);
        assert_eq!(of(port), None);
    }
}
