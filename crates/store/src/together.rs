//! Several acts as one: all of them, or none; and an act with what is read
//! behind it.

use std::future::Future;
use std::pin::Pin;

use crate::act::{Act, Tx};
use crate::fault::Fault;

/// One act among several, and which of its outcomes lets the others stand.
pub struct Step(Box<dyn Erased>);

impl Step {
    /// An act that has to end as `is_done` says.
    pub fn new<A: Act>(act: A, is_done: fn(&A::Out) -> bool) -> Self {
        Self(Box::new(Expecting { act, is_done }))
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step(..)")
    }
}

struct Expecting<A: Act> {
    act: A,
    is_done: fn(&A::Out) -> bool,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<bool, Fault>> + Send + 'a>>;

/// An act whose outcome is a yes or a no.
trait Erased: Send + Sync {
    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> Running<'a>;
}

impl<A: Act> Erased for Expecting<A> {
    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> Running<'a> {
        Box::pin(async move {
            let out = self.act.run(tx).await?;
            Ok((self.is_done)(&out))
        })
    }
}

/// Carries out steps in their order. Where one does not end as it has to,
/// nothing of them all is done, and the [`Fault`] says which it was; see
/// [`Fault::undone`].
#[derive(Debug)]
pub struct AllOrNothing {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Act for AllOrNothing {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        for (which, step) in self.steps.iter().enumerate() {
            if !step.0.run(tx).await? {
                return Err(Fault::undone_at(which));
            }
        }
        Ok(())
    }
}

/// An act, and what stands there behind it: who wrote what is shown once is
/// told of it in the same answer, or nothing was written.
#[derive(Clone, Debug)]
pub struct ThenRead<A, R> {
    /// What is carried out.
    pub act: A,
    /// What is read then.
    pub read: R,
}

impl<A: Act, R: Act> Act for ThenRead<A, R> {
    type Out = (A::Out, R::Out);

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        let out = self.act.run(tx).await?;
        Ok((out, self.read.run(tx).await?))
    }
}
