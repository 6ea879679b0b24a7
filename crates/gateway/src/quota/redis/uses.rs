//! What may be used so many times, remembered by all gateways: DPoP proofs, and
//! macaroons whose uses are counted here.
//!
//! Spec: RFC 9449 §11.1

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_verify::{Remembered, SharedUses, Unremembered, Use};

use super::super::bank::Bank;
use super::link::Act;
use super::wire::hex;
use super::{Together, Unavailable};

/// How far the clocks of gateway and Redis may differ: a name is remembered so
/// much longer than it has to be.
const SKEW: Duration = Duration::from_secs(120);

/// The memory that gateways share.
pub(crate) struct Uses(pub(crate) Arc<Bank>);

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uses")
    }
}

impl SharedUses for Uses {
    fn take<'a>(&'a self, uses: &'a [Use]) -> Remembered<'a> {
        Box::pin(async move {
            let together = self.0.together.as_ref().ok_or(Unremembered)?;
            // Each lies in a slot of its own, so they are taken one after the
            // other, and given back where one of them has no use left.
            for (at, one) in uses.iter().enumerate() {
                let taken = together.use_once("take", one).await;
                if taken == Ok(true) {
                    continue;
                }
                for before in &uses[..at] {
                    // Where that fails it has one use less, never one more.
                    let _ = together.use_once("back", before).await;
                }
                return taken.map_err(|Unavailable| Unremembered);
            }
            Ok(true)
        })
    }
}

impl Together {
    async fn use_once(&self, act: &str, one: &Use) -> Result<bool, Unavailable> {
        let until = (one.until + SKEW).millis();
        let act = Act {
            keys: vec![format!("symbolon:use:{}", hex(&one.name))],
            arguments: vec![act.to_owned(), one.limit.to_string(), until.to_string()],
        };
        let said = self.link.run(&self.uses, &act, self.steady()).await?;
        match said[..] {
            [1] => Ok(true),
            [0] => Ok(false),
            _ => Err(Unavailable),
        }
    }
}
