//! What is allowed but may surprise.

use super::{Config, Route};

impl Config {
    /// What is allowed but may surprise, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let sentences = [self.open_tone(), self.guessed_address(), self.few_ports()];
        sentences.into_iter().flatten().chain(self.lost_forwards()).chain(self.hidden_routes()).collect()
    }

    fn open_tone(&self) -> Option<String> {
        let is_open = self.sip.listen.iter().any(|(_, address)| !address.ip().is_loopback());
        (is_open && self.behavior.auto_answer).then(|| {
            "auto_answer is on and the PBX listens beyond this machine: anybody may call the tone".into()
        })
    }

    fn guessed_address(&self) -> Option<String> {
        let is_any = self.sip.listen.iter().any(|(_, address)| address.ip().is_unspecified());
        (is_any && self.sip.external_address.is_none()).then(|| {
            "the PBX listens on all addresses and external_address is not set: which one others are told is guessed"
                .into()
        })
    }

    fn few_ports(&self) -> Option<String> {
        let pairs = usize::from(self.media.rtp_port_end - self.media.rtp_port_start).div_ceil(2);
        let calls = self.behavior.max_concurrent_calls.min(self.limits.calls);
        (self.behavior.auto_answer && pairs < calls)
            .then(|| format!("the RTP ports are enough for {pairs} calls, and {calls} are allowed"))
    }

    /// Forwards to numbers that nobody has.
    fn lost_forwards(&self) -> impl Iterator<Item = String> {
        let is_known = |number: &str| {
            self.behavior.auto_answer
                || self.extensions.iter().any(|extension| extension.number == number)
                || self.routes.iter().any(|route| route.to_user.matches(number))
        };
        self.extensions.iter().flat_map(move |extension| {
            let forwards = [&extension.forward_busy, &extension.forward_no_answer].into_iter().flatten();
            forwards.filter(move |number| !is_known(number)).map(|number| {
                format!("the extension `{}` forwards to `{number}`, which leads nowhere", extension.number)
            })
        })
    }

    /// Routes that no call reaches, because an earlier one takes all of it.
    fn hidden_routes(&self) -> impl Iterator<Item = String> {
        self.routes.iter().enumerate().filter_map(|(index, route)| {
            let earlier = self.routes[..index].iter().find(|earlier| earlier.takes_all_of(route))?;
            Some(format!("the route `{}` is never reached: `{}` takes its calls", route.name, earlier.name))
        })
    }
}

impl Route {
    fn takes_all_of(&self, other: &Route) -> bool {
        let from_anywhere = self.from_network.is_none_or(|network| {
            other
                .from_network
                .is_some_and(|other| network.prefix <= other.prefix && network.contains(other.address))
        });
        self.when.is_none() && from_anywhere && self.to_user.covers(&other.to_user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_surprise_is_said() {
        let warnings = |text: &str| Config::parse(text, "f").expect(text).warnings().join("\n");
        assert!(warnings("[sip]\nbind_address = '0.0.0.0'").contains("anybody may call the tone"));
        assert!(warnings("[sip]\nbind_address = '0.0.0.0'").contains("is guessed"));
        let few = "[media]\nrtp_port_range_start = 10000\nrtp_port_range_end = 10009";
        assert!(warnings(few).contains("enough for 5 calls, and 100 are allowed"));
        let lost = "[[extensions]]\nnumber = '1'\npassword = 'x'\nforward_busy = '2'";
        assert!(warnings(lost).contains("forwards to `2`, which leads nowhere"));
        let hidden = "[[routes]]\nname = 'all'\nto_user = '*'\napp = 'echo'\n\
                      [[routes]]\nname = 'some'\nto_user = '91?'\nfrom_network = '10.0.0.0/8'\napp = 'tone'";
        assert!(warnings(hidden).contains("`some` is never reached: `all` takes its calls"));
    }
}
