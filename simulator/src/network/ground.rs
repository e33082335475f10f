//! What carries the packets: the network of this crate, turmoil's, or the loopback of this machine.
//!
//! Hosts, sockets and tasks look the same on all three. What only ours can do ends a scenario as [`Unplayable`].

use super::{Link, Network};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, UdpSocket as StdSocket};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What carries the packets of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// Our network: every fault, every packet on record.
    #[default]
    Own,
    /// turmoil's, in virtual time too, one millisecond after the other: another opinion on what a network does.
    Turmoil,
    /// The loopback of this machine in real time, with the PBX as a process of its own: this program.
    Real(PathBuf),
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ground::Own => "our network",
            Ground::Turmoil => "turmoil",
            Ground::Real(_) => "the loopback",
        })
    }
}

/// A scenario wants what its network cannot do; it is no failure. Thrown as a panic, because the sentence that wants it
/// is the one to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplayable(pub String);

impl Unplayable {
    /// Ends the scenario, without the noise of a panic.
    pub fn throw(why: impl Into<String>) -> ! {
        resume_unwind(Box::new(Unplayable(why.into())))
    }
}

/// The addresses of one world on the loopback: 127.a.b.0/24, claimed by a socket for as long as it lives.
pub(super) struct Claim {
    net: [u8; 2],
    _socket: StdSocket,
}

/// The last byte and the port of the address that is bound to claim its neighbours.
const CLAIM: (u8, u16) = (254, 1_024);

impl Claim {
    /// The first net that nobody else has. Who has an address has all its ports, so telephones have 5060 here too.
    pub(super) fn stake() -> Claim {
        let nets = (1..=254).flat_map(|a| (0..=255).map(move |b| [a, b]));
        let mut free = nets.filter_map(|net: [u8; 2]| {
            let address = Ipv4Addr::new(127, net[0], net[1], CLAIM.0);
            // 127.0.0.1 and its neighbours belong to everybody.
            let socket = StdSocket::bind((address, CLAIM.1)).ok()?;
            Some(Claim { net, _socket: socket })
        });
        free.next().expect("the loopback has 65,000 nets, and Linux lets us bind all of it")
    }

    fn address(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(127, self.net[0], self.net[1], last).into()
    }
}

impl Network {
    /// What carries the packets.
    pub fn ground(&self) -> &Ground {
        match &self.shared.far {
            Some(far) => far.ground(),
            None => &Ground::Own,
        }
    }

    /// The address of the host of this number.
    pub fn address(&self, last: u8) -> IpAddr {
        let claim = self.shared.far.as_ref().and_then(|far| far.claim());
        claim.map_or(Ipv4Addr::new(10, 0, 0, last).into(), |claim| claim.address(last))
    }

    /// The program that is the PBX, where it is one of its own.
    pub fn program(&self) -> Option<Arc<Path>> {
        match self.ground() {
            Ground::Real(program) => Some(Arc::from(program.as_path())),
            Ground::Own | Ground::Turmoil => None,
        }
    }

    /// Ends the scenario unless the network is ours.
    pub(super) fn must_be_own(&self, what: &str) {
        if self.shared.far.is_some() {
            Unplayable::throw(format!("{} cannot {what}", self.ground()));
        }
    }

    /// Ends the scenario when a link is to do what only ours does.
    pub(super) fn must_know(&self, link: &Link) {
        if self.shared.far.is_some() && *link != Link::default() {
            Unplayable::throw(format!("{} has no faults for single packets", self.ground()));
        }
    }
}
