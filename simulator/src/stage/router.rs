//! Telephones at home: behind a router that does NAT.

use super::Stage;
use crate::network::{Nat, box_of};
use crate::phone::Phone;
use pbx::shell::host::Host;
use pbx::shell::timer;
use pbx::sip::Transport;
use pbx::time::Duration;
use std::net::IpAddr;

/// What is sent to keep a binding alive: nothing, as SIP says it (RFC 5626 section 4.4.1).
const KEEPALIVE: &[u8] = b"\r\n\r\n";

/// The last byte of the first address behind a router.
const FIRST: u8 = 2;

impl Stage {
    /// A new telephone behind a router of its own.
    pub async fn phone_behind(&mut self, name: &str, nat: Nat, transport: Transport) -> Phone {
        let number = u8::try_from(self.routers().count() + 1).expect("a world has a few routers");
        let router = format!("{name}'s router");
        let address = self.network.nat(number, &router, nat);
        self.names.insert(address, router);
        self.phone_in(name, address, transport).await
    }

    /// A new telephone behind the router of another.
    pub async fn phone_beside(&mut self, name: &str, other: &Phone) -> Phone {
        let router = box_of(other.host().address()).expect("the other one has a router");
        self.phone_in(name, router, Transport::Udp).await
    }

    async fn phone_in(&mut self, name: &str, router: IpAddr, transport: Transport) -> Phone {
        assert!(!self.phones.contains_key(name), "{name} has a telephone already, elsewhere");
        let IpAddr::V4(router) = router else { unreachable!("routers speak IPv4") };
        let number = router.octets()[3];
        let inside = self.names.keys().filter(|address| box_of(**address) == Some(router.into())).count();
        let host = self.network.host_behind(number, name, FIRST + inside as u8);
        self.names.insert(host.address(), name.to_owned());
        self.apply_script();
        self.add_phone_on(host, name, name, transport).await
    }

    fn routers(&self) -> impl Iterator<Item = &IpAddr> {
        self.names.keys().filter(|address| crate::network::is_box(**address))
    }
}

impl Phone {
    /// From now on something goes to the PBX every so often, so that routers on the way do not forget it.
    pub fn keeps_its_binding(&self, every: Duration) {
        let phone = self.clone();
        self.host().spawn(async move {
            loop {
                timer::sleep(every).await;
                phone.sends(KEEPALIVE);
            }
        });
    }
}
