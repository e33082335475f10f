//! The records of TLS 1.3 (RFC 8446 section 5), opened with the secret of one direction of a connection.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};

/// Of one direction of a connection, as a line of a key log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

/// A record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// How many bytes of the stream it has taken.
    pub(crate) length: usize,
    /// What a program said by it; `None` for what TLS says.
    pub(crate) said: Option<Vec<u8>>,
}

const HEAD: usize = 5;
/// The type of a record that is sealed, and of what a program says within one.
const APPLICATION_DATA: u8 = 23;

impl Secret {
    /// From a line of a key log: label, random of the client, secret.
    pub(crate) fn of_line(line: &[u8]) -> Option<Secret> {
        let hex = std::str::from_utf8(line).ok()?.split_whitespace().nth(2)?;
        let digits = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(digits).collect::<Option<Vec<u8>>>().map(Secret)
    }

    /// The records of a stream, in order. What is sealed by the keys of the handshake is passed over.
    pub(crate) fn open(&self, stream: &[u8]) -> Vec<Opened> {
        let Some(keys) = self.keys() else { return Vec::new() };
        let (mut rest, mut sequence, mut records) = (stream, 0, Vec::new());
        while let [kind, _, _, high, low, ..] = *rest {
            let length = HEAD + usize::from(u16::from_be_bytes([high, low]));
            let Some((record, after)) = rest.split_at_checked(length) else { break };
            let opened = keys.open(record, sequence).filter(|_| kind == APPLICATION_DATA);
            sequence += u64::from(opened.is_some());
            records.push(Opened { length, said: opened.and_then(said) });
            rest = after;
        }
        records
    }

    fn keys(&self) -> Option<Keys> {
        let secret = Prk::new_less_safe(HKDF_SHA256, &self.0);
        let key = expand(&secret, b"key", 16)?;
        let iv = expand(&secret, b"iv", 12)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        Some(Keys { key, iv: iv.try_into().ok()? })
    }
}

struct Keys {
    key: LessSafeKey,
    iv: [u8; 12],
}

impl Keys {
    fn open(&self, record: &[u8], sequence: u64) -> Option<Vec<u8>> {
        let (head, sealed) = record.split_at_checked(HEAD)?;
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(head), &mut bytes).ok()?;
        Some(opened.to_vec())
    }
}

/// What a program says ends with the type of that, and zeros that hide how much it is.
fn said(mut opened: Vec<u8>) -> Option<Vec<u8>> {
    while opened.last() == Some(&0) {
        opened.pop();
    }
    (opened.pop() == Some(APPLICATION_DATA)).then_some(opened)
}

/// HKDF-Expand-Label (section 7.1), without context.
fn expand(secret: &Prk, label: &[u8], length: usize) -> Option<Vec<u8>> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let lengths = (u16::try_from(length).ok()?, u8::try_from(6 + label.len()).ok()?);
    let info = [&lengths.0.to_be_bytes()[..], &[lengths.1], b"tls13 ", label, &[0]];
    let mut bytes = vec![0; length];
    secret.expand(&info, Length(length)).ok()?.fill(&mut bytes).ok()?;
    Some(bytes)
}
