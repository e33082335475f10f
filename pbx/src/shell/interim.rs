//! Stands in for the core until it is there.
#![allow(missing_docs)]

#[derive(Default)]
pub struct Nothing(bool);

impl super::driver::Core for Nothing {
    fn receive(&mut self, input: crate::pbx::Input, _: crate::time::Instant) {
        self.0 |= matches!(input, crate::pbx::Input::Drain { .. });
    }
    fn handle_timeout(&mut self, _: crate::time::Instant) {}
    fn poll_timeout(&self) -> Option<crate::time::Instant> {
        None
    }
    fn poll_output(&mut self) -> Option<crate::pbx::Output> {
        std::mem::take(&mut self.0).then_some(crate::pbx::Output::Drained)
    }
    fn counters(&self) -> crate::pbx::Counters {
        Default::default()
    }
}
