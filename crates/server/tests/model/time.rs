//! What happens to nodes: time passes, clocks jump, processes end, databases are
//! restored, keys change.

use reqwest::Method;
use serde_json::json;
use symbolon_server::backup::{Existing, back_up, restore};

use super::op::Ahead;
use super::world::{Held, Saved, World, hold};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How far the clock may fall back in all: from farther it is taken as set right.
const FARTHEST: i64 = 10 * HOUR;
/// How time passes: mostly a little, seldom very long.
const SPANS: [i64; 16] = [
    SECOND,
    5 * SECOND,
    20 * SECOND,
    59 * SECOND,
    MINUTE,
    89 * SECOND,
    90 * SECOND,
    2 * MINUTE,
    5 * MINUTE,
    599 * SECOND,
    600 * SECOND,
    11 * MINUTE,
    HOUR + 10 * MINUTE,
    9 * HOUR,
    8 * DAY,
    15 * DAY,
];

impl World {
    /// Time passes, and nodes do what they do once a minute.
    pub(super) async fn pass(&mut self, span: u8) -> Held {
        let span = SPANS[usize::from(span) % SPANS.len()];
        self.place.clock.pass(span);
        self.book.now += span;
        self.settle().await;
        Ok(())
    }

    async fn settle(&self) {
        for peer in &self.peers {
            peer.catch_up().await;
            peer.forget().await;
        }
    }

    /// The clock jumps back an hour; time does not. Where it has fallen back
    /// far enough, it is set right, and time does not jump either.
    pub(super) async fn jump_back(&mut self) -> Held {
        if self.behind >= FARTHEST {
            self.place.clock.jump(self.behind);
            self.behind = 0;
        } else {
            self.place.clock.jump(-HOUR);
            self.behind += HOUR;
        }
        self.settle().await;
        Ok(())
    }

    /// The clock jumps a day ahead, where everything is asked about, and back:
    /// all is then as it was, but for what was taken back meanwhile.
    pub(super) async fn jump_ahead(
        &mut self,
        node: usize,
        crash: bool,
        taken: Option<Ahead>,
    ) -> Held {
        self.place.clock.jump(DAY);
        // Whoever is behind is ahead by less.
        let ahead = DAY - self.behind;
        self.book.now += ahead;
        self.settle().await;
        // A process that begins ahead knows no other time, so that what it was
        // behind before is forgotten, too.
        if crash && self.behind == 0 {
            self.crash(node).await?;
            self.settle().await;
        }
        if let Some(taken) = taken {
            self.take_ahead(node, taken).await?;
            self.settle().await;
        }
        self.check_tokens(super::check::When::Ahead).await?;
        self.place.clock.jump(-DAY);
        self.book.now -= ahead;
        self.settle().await;
        Ok(())
    }

    /// Something is taken back while the clock is ahead.
    async fn take_ahead(&mut self, node: usize, taken: Ahead) -> Held {
        match taken {
            Ahead::Token(token) => self.revoke_expired(node, token).await,
            Ahead::Other(what, which) => self.take_back(node, what, which).await,
        }
    }

    /// A node falls and comes again: nothing of it is finished in good order.
    pub(super) async fn crash(&mut self, node: usize) -> Held {
        let ended = self.peers.remove(node);
        ended.node.running.fall().await;
        let again = self.place.start(node, "").await;
        self.peers.insert(node, again);
        Ok(())
    }

    pub(super) async fn back_up(&mut self, node: usize) -> Held {
        let peer = &self.peers[node];
        let config = self.place.config(&peer.file());
        let path = self.place.folder.join("backup");
        // The one before is of no use any more.
        let _ = std::fs::remove_file(&path);
        let edge = self.place.edge();
        let done = back_up(&config, &edge, &path).await;
        hold!("I08", done.is_ok(), "no backup: {:?}", done.err());
        let (book, used) = (self.book.clone(), self.used.len());
        self.saved = Some(Saved { path, book, used });
        Ok(())
    }

    /// All nodes end, and come again over what was saved.
    pub(super) async fn restore(&mut self) -> Held {
        let Some(saved) = &self.saved else {
            return Ok(());
        };
        let config = self.place.config(&self.peers[0].file());
        let count = self.peers.len();
        for peer in self.peers.drain(..) {
            peer.node.running.stop().await;
        }
        self.place.clock.jump(std::mem::take(&mut self.behind));
        let edge = self.place.edge();
        let done = restore(&config, &edge, &saved.path, Existing::Delete).await;
        hold!("I08", done.is_ok(), "not restored: {:?}", done.err());
        self.book = self.book.clone().restored(&saved.book);
        // What was used up since is not known to have been.
        self.used.truncate(saved.used);
        for number in 0..count {
            self.peers.push(self.place.start(number, "").await);
        }
        // What was written since is gone, and what was restored stands again.
        self.forget_what_was_told().await;
        Ok(())
    }

    /// The next keys are used as soon as they may be.
    pub(super) async fn rotate_keys(&mut self, node: usize) -> Held {
        let body = json!({ "algorithm": "ES256" });
        let answer = self
            .admin(node, Method::POST, "/admin/v1/keys:rotate", Some(body))
            .await;
        hold!("I18", answer.status == 200, "{}", answer.body);
        Ok(())
    }

    /// The key that signs now is distrusted.
    pub(super) async fn distrust_key(&mut self, node: usize) -> Held {
        let all = self.list("/admin/v1/keys").await;
        let signs = all
            .iter()
            .find(|own| own["algorithm"] == "ES256" && own["state"] == "active");
        let kid = signs.unwrap()["kid"].as_str().unwrap();
        let path = format!("/admin/v1/keys/{kid}/distrust");
        let answer = self.admin(node, Method::POST, &path, None).await;
        hold!("I17", answer.status == 200, "{}", answer.body);
        self.book.distrust(kid);
        Ok(())
    }
}
