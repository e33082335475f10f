//! Calls as people see them who look.

use super::call::{Call, Stage};
use super::leg::{Leg, Port};
use crate::boundary::{CallNow, LegNow};
use crate::time::Instant;

impl Call {
    pub(super) fn survey(&self) -> CallNow {
        let (stage, callee) = match &self.stage {
            Stage::Preparing(_) => ("preparing", None),
            Stage::Alerting(_) => ("alerting", None),
            Stage::Announcing(_) => ("announcing", None),
            Stage::Dialling(_) => ("ringing", None),
            Stage::Served(_) => ("served", None),
            Stage::Talking(callee) => ("talking", Some(callee)),
            Stage::Replacing(_) => ("replacing", None),
            Stage::Waiting(_) => ("waiting", None),
            Stage::Controlled(controlled) => (controlled.name(), None),
            Stage::Over => ("over", None),
        };
        let legs = [&self.caller].into_iter().chain(callee).chain(&self.leaving);
        CallNow {
            call_id: self.facts.call_id.clone(),
            sip_call_id: self.facts.sip_call_id.clone(),
            caller: self.facts.caller.clone(),
            dialled: self.facts.dialled.clone(),
            stage,
            started_secs: self.facts.started.since(Instant::START).as_secs_f64(),
            legs: legs.map(Leg::survey).collect(),
        }
    }
}

impl Leg {
    fn survey(&self) -> LegNow {
        let port = match self.port {
            Port::Opening { port, .. } | Port::Open { port, .. } | Port::Closing { port, .. } => Some(port),
            Port::Unbound | Port::Closed => None,
        };
        let codec = self.negotiation.agreed().and_then(|agreement| agreement.codecs.first());
        LegNow {
            name: self.name.clone(),
            remote: self.path.remote,
            port,
            codec: codec.map(|codec| codec.name.clone()),
        }
    }
}
