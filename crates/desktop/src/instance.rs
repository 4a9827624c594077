//! One window for each daemon: a second start raises the first window.
//!
//! The first instance holds a lock for as long as it lives, and listens on a socket beside it. Both lie in a directory that
//! only their owner can enter, so whoever connects may raise the window.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// How long each side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a start finds.
#[derive(Debug)]
pub enum Claim {
    /// Nobody: this is the instance.
    First(First),
    /// The window of another, which was raised.
    Other,
}

/// The right to be the instance, and where others ask to have the window raised.
#[derive(Debug)]
pub struct First {
    listener: UnixListener,
    /// It is unlocked when the process ends, however that comes about.
    _lock: File,
}

impl Claim {
    /// Finds out, in this directory.
    ///
    /// # Errors
    /// When its files cannot be made, or the other instance does not answer.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let lock = File::options().create(true).append(true).open(dir.join("lock"))?;
        let socket = dir.join("socket");
        match lock.try_lock() {
            Ok(()) => {
                // What an instance left that was killed.
                match std::fs::remove_file(&socket) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                Ok(Self::First(First { listener: UnixListener::bind(socket)?, _lock: lock }))
            }
            Err(TryLockError::WouldBlock) => raise(&socket).map(|()| Self::Other),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl First {
    /// Calls `raise` whenever another instance asks for the window, for as long as the process lives.
    pub fn listen(self, raise: impl Fn() + Send + 'static) {
        std::thread::spawn(move || {
            let First { listener, _lock } = self;
            for stream in listener.incoming() {
                let answered = stream.and_then(|mut stream| {
                    stream.set_write_timeout(Some(PATIENCE))?;
                    raise();
                    stream.write_all(b"raised\n")
                });
                // The one who asked has gone; the next may still be heard.
                drop(answered);
            }
        });
    }
}

fn raise(socket: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.trim_end() {
        "raised" => Ok(()),
        _ => Err(io::Error::other("the window that is open does not answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_second_raises_the_first_and_a_dead_one_is_followed() {
        let dir = std::env::temp_dir().join(format!("trunkline-instance-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let Claim::First(first) = Claim::of(&dir).unwrap() else { panic!("nobody was there") };
        let (raise, raised) = mpsc::channel();
        first.listen(move || raise.send(()).unwrap());
        for _ in 0..3 {
            assert!(matches!(Claim::of(&dir).unwrap(), Claim::Other));
            raised.recv_timeout(PATIENCE).unwrap();
        }
        std::fs::remove_dir_all(dir).unwrap();

        let dir = std::env::temp_dir().join(format!("trunkline-dead-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        drop(Claim::of(&dir).unwrap());
        assert!(dir.join("socket").exists(), "it was left behind");
        assert!(matches!(Claim::of(&dir).unwrap(), Claim::First(_)));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
