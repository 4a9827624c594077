//! Where the answers to commands go.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::{CommandError, Done};

/// What a command came to.
pub(crate) type Answered = Result<Done, CommandError>;

/// Where the answer to one command goes. Dropped unused, it says that the daemon is stopping.
pub(crate) enum Reply {
    /// To whoever waits for it alone.
    Alone(oneshot::Sender<Answered>),
    /// To its place among those of the commands that came with it.
    Among(Arc<Gathering>, usize),
}

/// The answers to commands that came together: they are given together, once each of them has been answered or dropped.
pub(crate) struct Gathering {
    answers: Mutex<Vec<Answered>>,
    reply: Option<oneshot::Sender<Vec<Answered>>>,
}

impl Reply {
    /// As many replies as there are commands that come together, and where all of them arrive.
    pub(crate) fn gathered(count: usize) -> (impl Iterator<Item = Self>, oneshot::Receiver<Vec<Answered>>) {
        let (reply, answers) = oneshot::channel();
        let none = vec![Err(CommandError::Stopping); count];
        let gathering = Arc::new(Gathering { answers: Mutex::new(none), reply: Some(reply) });
        ((0..count).map(move |place| Self::Among(Arc::clone(&gathering), place)), answers)
    }

    pub(crate) fn send(self, answer: Answered) {
        match self {
            Self::Alone(reply) => {
                let _receiver_left = reply.send(answer);
            }
            Self::Among(gathering, place) => {
                gathering.answers.lock().unwrap_or_else(PoisonError::into_inner)[place] = answer;
            }
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let answers = std::mem::take(self.answers.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(reply) = self.reply.take() {
            let _receiver_left = reply.send(answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::id::Pos;

    #[test]
    fn answers_that_come_together_stand_in_the_order_of_their_commands() {
        let (replies, mut answers) = Reply::gathered(3);
        let mut replies: Vec<_> = replies.collect();
        let done = |pos| Ok(Done { pos: Pos(pos), events: Vec::new() });
        replies.pop().unwrap().send(done(3));
        replies.remove(0).send(done(1));
        assert!(answers.try_recv().is_err(), "one is still open");
        drop(replies);
        let answers = answers.try_recv().unwrap();
        let shown: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok().map(|done| done.pos)).collect();
        assert_eq!(shown, [Some(Pos(1)), None, Some(Pos(3))]);
        assert!(matches!(answers[1], Err(CommandError::Stopping)), "what was dropped was not decided");
    }
}
