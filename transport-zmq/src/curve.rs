//! Encryption and authentication by CURVE, which is ZeroMQ's own (<https://rfc.zeromq.org/spec/26/>).

use std::fmt;

use tidings_router_core::{Error, Result};

/// The domain of sockets that nodes connect to, for ZAP.
pub(crate) const NODES: &str = "nodes";

/// The domain of sockets that guests connect to.
pub(crate) const GUESTS: &str = "guests";

type Key = [u8; 32];

/// The keys of a cluster: every node holds the same pair, and admits whoever proves that it holds it too.
///
/// Guests may hold the same pair, or pairs of their own, whose public keys are [admitted](Self::admit). Texts of keys
/// are Z85, 40 characters, as `zmq_curve_keypair` and every ZeroMQ library writes them.
///
/// CURVE needs a libzmq that was built with it. The one that is compiled along with the crate `zmq` is not; the one of
/// a distribution is, and cargo links it if `.cargo/config.toml` says
///
/// ```toml
/// [target.x86_64-unknown-linux-gnu.zmq]
/// rustc-link-lib = ["zmq"]
/// ```
#[derive(Clone)]
pub struct Curve {
    public: Key,
    secret: Key,
    guests: Vec<Key>,
}

fn invalid(reason: &str) -> Error {
    Error::Setting { setting: "curve".to_owned(), reason: reason.to_owned() }
}

fn key(text: &str) -> Result<Key> {
    let key = zmq::z85_decode(text).ok().and_then(|key| Key::try_from(key).ok());
    // libzmq takes characters for others that are none of the alphabet.
    key.filter(|key| self::text(key) == text).ok_or_else(|| invalid("a key is 40 characters of Z85"))
}

fn text(key: &Key) -> String {
    zmq::z85_encode(key).expect("the length of a key is a multiple of 4")
}

impl Curve {
    /// This pair of keys.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when one of them is none.
    pub fn new(public: &str, secret: &str) -> Result<Self> {
        Ok(Self { public: key(public)?, secret: key(secret)?, guests: Vec::new() })
    }

    /// A new pair of keys.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when this libzmq has no CURVE.
    pub fn generate() -> Result<Self> {
        Self::check()?;
        let pair = zmq::CurveKeyPair::new().map_err(|error| invalid(error.message()))?;
        Ok(Self { public: pair.public_key, secret: pair.secret_key, guests: Vec::new() })
    }

    /// Lets guests with this public key in. They are no nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when it is none.
    pub fn admit(mut self, public: &str) -> Result<Self> {
        self.guests.push(key(public)?);
        Ok(self)
    }

    /// What guests need to know of the nodes: their `curve_serverkey`.
    pub fn public_key(&self) -> String {
        text(&self.public)
    }

    /// What must stay among the nodes.
    pub fn secret_key(&self) -> String {
        text(&self.secret)
    }

    /// Whether this libzmq can do it.
    pub(crate) fn check() -> Result<()> {
        match zmq::has("curve") {
            Some(true) => Ok(()),
            _ => Err(invalid("this libzmq was built without CURVE; the one of a distribution has it")),
        }
    }

    pub(crate) fn serve(&self, socket: &zmq::Socket, domain: &str) -> zmq::Result<()> {
        socket.set_curve_server(true)?;
        socket.set_curve_secretkey(&self.secret)?;
        socket.set_zap_domain(domain)
    }

    pub(crate) fn call(&self, socket: &zmq::Socket) -> zmq::Result<()> {
        socket.set_curve_serverkey(&self.public)?;
        socket.set_curve_publickey(&self.public)?;
        socket.set_curve_secretkey(&self.secret)
    }

    /// Answers a question of ZAP (<https://rfc.zeromq.org/spec/27/>), which libzmq asks for each connection: version,
    /// number, domain, address, identity, mechanism, key.
    pub(crate) fn answer(&self, question: &[Vec<u8>]) -> Option<[Vec<u8>; 6]> {
        let [version, number, domain, _, _, mechanism, key] = question else { return None };
        let is_admitted =
            key == &self.public || domain == GUESTS.as_bytes() && self.guests.iter().any(|it| key == it);
        let code = if mechanism == b"CURVE" && is_admitted { "200" } else { "400" };
        let texts = [code, "", "", ""].map(|text| text.as_bytes().to_vec());
        let [code, reason, user, metadata] = texts;
        Some([version.clone(), number.clone(), code, reason, user, metadata])
    }
}

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Curve").field("public", &self.public_key()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
    const GUEST: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

    fn question(domain: &str, key: &str) -> Vec<Vec<u8>> {
        let texts = ["1.0", "1", domain, "127.0.0.1", "", "CURVE"].map(|text| text.as_bytes().to_vec());
        texts.into_iter().chain([zmq::z85_decode(key).unwrap()]).collect()
    }

    #[test]
    fn who_holds_the_pair_is_a_node_and_who_is_admitted_is_a_guest() {
        let curve = Curve::new(PUBLIC, SECRET).unwrap().admit(GUEST).unwrap();
        for (domain, key, code) in [
            (NODES, PUBLIC, "200"),
            (GUESTS, PUBLIC, "200"),
            (GUESTS, GUEST, "200"),
            (NODES, GUEST, "400"),
            (GUESTS, SECRET, "400"),
        ] {
            assert_eq!(curve.answer(&question(domain, key)).unwrap()[2], code.as_bytes(), "{domain} {key}");
        }
        assert!(curve.answer(&question(NODES, PUBLIC)[..6]).is_none());
    }

    #[test]
    fn texts_that_are_no_keys_are_errors_and_secrets_are_not_printed() {
        for text in ["", "short", "not of the alphabet: \"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""] {
            assert!(matches!(Curve::new(text, SECRET), Err(Error::Setting { .. })), "{text}");
        }
        let curve = Curve::new(PUBLIC, SECRET).unwrap();
        assert_eq!((curve.public_key(), curve.secret_key()), (PUBLIC.to_owned(), SECRET.to_owned()));
        assert!(!format!("{curve:?}").contains(SECRET));
    }
}
