//! The names of header lines.

/// How many places the table of [`Name::of`] has: a power of two, and far more than there are names.
const PLACES: usize = 512;

/// Where to begin to look for a name. Few names share length, first and last letter, so most are found at once.
const fn place(text: &[u8]) -> usize {
    let (first, last) = (text[0].to_ascii_lowercase(), text[text.len() - 1].to_ascii_lowercase());
    (text.len() * 31 + first as usize * 7 + last as usize * 113) % PLACES
}

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header name that this PBX knows; all others are [`Name::Other`] and found by their text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// A name that is not listed here.
            Other,
        }

        impl Name {
            /// The long form as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)*
                    Name::Other => "",
                }
            }
        }

        /// Every name in both its forms, in the order of [`place`]; one that finds its place taken has the next free one.
        static TABLE: [(&str, Name); PLACES] = {
            let all = [$(($text, Name::$variant), $(($compact, Name::$variant),)?)*];
            let mut table = [("", Name::Other); PLACES];
            let mut index = 0;
            while index < all.len() {
                let mut at = place(all[index].0.as_bytes());
                while !table[at].0.is_empty() {
                    at = (at + 1) % PLACES;
                }
                table[at] = all[index];
                index += 1;
            }
            table
        };
    };
}

impl Name {
    /// The name of a text, long or compact (RFC 3261 section 7.3.3), without case.
    pub fn of(text: &str) -> Name {
        Name::of_bytes(text.as_bytes())
    }

    pub(super) fn of_bytes(text: &[u8]) -> Name {
        if text.is_empty() {
            return Name::Other;
        }
        let mut at = place(text);
        loop {
            let (candidate, name) = TABLE[at];
            let candidate = candidate.as_bytes();
            // Nearly all names are written as the RFCs write them, and that is found out faster.
            if candidate == text || candidate.is_empty() || candidate.eq_ignore_ascii_case(text) {
                return name;
            }
            at = (at + 1) % PLACES;
        }
    }
}

names! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    MaxForwards "Max-Forwards",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    Route "Route",
    RecordRoute "Record-Route",
    Expires "Expires",
    MinExpires "Min-Expires",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Authorization "Authorization",
    AuthenticationInfo "Authentication-Info",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    WwwAuthenticate "WWW-Authenticate",
    Date "Date",
    Event "Event" "o",
    SubscriptionState "Subscription-State",
    MimeVersion "MIME-Version",
    Path "Path",
    Rack "RAck",
    Rseq "RSeq",
    Reason "Reason",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    Replaces "Replaces",
    Require "Require",
    RetryAfter "Retry-After",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" "x",
    MinSe "Min-SE",
    Subject "Subject" "s",
    Supported "Supported" "k",
    Timestamp "Timestamp",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Warning "Warning",
    AlertInfo "Alert-Info",
    CallInfo "Call-Info",
    InfoPackage "Info-Package",
    RecvInfo "Recv-Info",
    Join "Join",
    Priority "Priority",
    Diversion "Diversion",
    HistoryInfo "History-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
    SipIfMatch "SIP-If-Match",
    SipEtag "SIP-ETag",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_in_either_form() {
        for (text, name) in [
            ("Via", Name::Via),
            ("v", Name::Via),
            ("MaX-fOrWaRdS", Name::MaxForwards),
            ("L", Name::ContentLength),
            ("www-authenticate", Name::WwwAuthenticate),
            ("r", Name::ReferTo),
        ] {
            assert_eq!(Name::of(text), name, "{text}");
        }
    }

    #[test]
    fn every_name_is_found_and_no_search_is_long() {
        for (text, name) in TABLE.iter().filter(|(text, _)| !text.is_empty()) {
            assert_eq!(Name::of(text), *name);
        }
        let longest =
            (0..PLACES).map(|at| (0..).take_while(|n| !TABLE[(at + n) % PLACES].0.is_empty()).count());
        assert!(longest.max() <= Some(6), "names crowd in the table");
    }

    #[test]
    fn what_looks_like_a_name_is_none() {
        for text in ["", "Vib", "C%6Fntact", "Content-Lengtx", "\u{212a}", "From "] {
            assert_eq!(Name::of(text), Name::Other, "{text:?}");
        }
    }
}
