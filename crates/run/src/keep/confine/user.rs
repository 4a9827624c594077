//! The namespaces, and which rights are left in them.

use std::fs;
use std::io::{self, Read, Write};

use rustix::process::{WaitOptions, getegid, geteuid, getpid, waitpid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Result, While, sys};

/// What root goes on to do with files that others own, as in a container. Each counts within the namespace only.
const OF_ROOT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// The highest number a capability may have: the sets have 64 bits.
const CAPABILITIES: u32 = 64;

/// Enters namespaces of users, mounts and System V objects, and those of processes and network where asked for. Gives
/// the rights that are to be left.
pub(super) fn enter(network: bool, processes: bool) -> Result<CapabilitySet> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
    if !network {
        // Loopback of a new one is down, and there is nothing else in it.
        flags |= libc::CLONE_NEWNET;
    }
    if processes {
        flags |= libc::CLONE_NEWPID;
    }
    let everybody =
        if uid.is_root() { Some(everybody().doing(|| "prepare to map users".to_owned())?) } else { None };
    sys::unshare(flags).doing(|| "make namespaces".to_owned())?;
    if everybody.is_some_and(Mapper::map) {
        return Ok(OF_ROOT);
    }
    map_self("setgroups", "deny")?;
    map_self("uid_map", &format!("{uid} {uid} 1"))?;
    map_self("gid_map", &format!("{gid} {gid} 1"))?;
    Ok(left())
}

/// The rights that our user goes on to have.
pub(super) fn left() -> CapabilitySet {
    if geteuid().is_root() { OF_ROOT } else { CapabilitySet::empty() }
}

fn map_self(file: &str, text: &str) -> Result<()> {
    fs::write(format!("/proc/self/{file}"), text).doing(|| format!("write /proc/self/{file}"))
}

/// A child that has stayed outside, from where all users can be mapped to themselves.
struct Mapper {
    go: io::PipeWriter,
    done: io::PipeReader,
    pid: rustix::process::Pid,
}

fn everybody() -> io::Result<Mapper> {
    let us = getpid();
    let (mut told, go) = io::pipe()?;
    let (done, mut tell) = io::pipe()?;
    if let Some(pid) = sys::fork()? {
        return Ok(Mapper { go, done, pid });
    }
    drop((go, done));
    let map = |file: &str| {
        let file = format!("/proc/{}/{file}", us.as_raw_pid());
        // What our own namespace has; the numbers are the same inside.
        let ours = fs::read_to_string("/proc/self/uid_map")?;
        let same = ours.lines().filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (first, count) = (fields.next()?, fields.nth(1)?);
            Some(format!("{first} {first} {count}\n"))
        });
        fs::write(file, same.collect::<String>())
    };
    // Without a byte the other end has died.
    if told.read_exact(&mut [0]).is_ok() {
        let mapped = map("uid_map").and_then(|()| map("gid_map")).is_ok();
        drop(tell.write_all(&[u8::from(mapped)]));
    }
    sys::exit(0)
}

impl Mapper {
    /// Whether it was done.
    fn map(self) -> bool {
        let Self { mut go, mut done, pid } = self;
        let mut answer = [0];
        let mapped = go.write_all(&[1]).and_then(|()| done.read_exact(&mut answer)).is_ok();
        let _ = waitpid(Some(pid), WaitOptions::empty());
        mapped && answer == [1]
    }
}

/// Leaves these rights and no others, now and for whatever is executed, and no way to gain any by executing.
pub(super) fn drop_rights(left: CapabilitySet) -> Result<()> {
    let refused = || "drop capabilities".to_owned();
    rustix::thread::clear_ambient_capability_set().doing(refused)?;
    for number in 0..CAPABILITIES {
        let Some(capability) = CapabilitySet::from_bits(1 << number) else { continue };
        if !left.contains(capability)
            && rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false)
        {
            rustix::thread::remove_capability_from_bounding_set(capability).doing(refused)?;
        }
    }
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).doing(refused)?;
    rustix::thread::set_no_new_privs(true).doing(|| "give up new privileges".to_owned())
}
