//! URLs of servers.

use std::fmt;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use tidings_router_core::{Error, Result};

use crate::login::Login;

/// A server of a list.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Server {
    pub(crate) address: ServerAddr,
    /// What its URL says of the user.
    pub(crate) login: Option<Login>,
}

impl Server {
    /// The servers in a list that is separated by commas.
    pub(crate) fn parse_all(list: &str) -> Result<Vec<Self>> {
        list.split(',')
            .map(|url| Self::parse(url.trim()))
            .collect::<Result<_, String>>()
            .map_err(|reason| Error::invalid_address(list, reason))
    }

    fn parse(url: &str) -> Result<Self, String> {
        let address: ServerAddr = url.parse().map_err(|error| format!("{error}"))?;
        if !["nats", "tls"].contains(&address.scheme()) {
            return Err(format!("the scheme is `{}`, not `nats` or `tls`", address.scheme()));
        }
        if address.host().is_empty() {
            return Err("no host, as in `nats://host:port`".to_owned());
        }
        let url = address.clone().into_inner();
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("nothing may stand behind the port, as in `nats://host:port`".to_owned());
        }
        let plain = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| "the user or password is not UTF-8".to_owned())
        };
        let login = match (address.username(), address.password()) {
            (None, None) => None,
            (None, Some(_)) => return Err("a password without a user".to_owned()),
            (Some(token), None) => Some(Login::Token(plain(token)?)),
            (Some(user), Some(password)) => {
                Some(Login::Password { user: plain(user)?, password: plain(password)? })
            }
        };
        let mut url = url;
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| "no host, as in `nats://host:port`".to_owned())?;
        let address = ServerAddr::from_url(url).map_err(|error| error.to_string())?;
        Ok(Self { address, login })
    }
}

/// Without a scheme and a login, as people name it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.host() {
            v6 if v6.contains(':') => write!(f, "[{v6}]:{}", self.address.port()),
            host => write!(f, "{host}:{}", self.address.port()),
        }
    }
}

/// All of them, without logins.
pub(crate) fn all(servers: &[Server]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &str) -> Vec<(String, Option<Login>)> {
        let servers = Server::parse_all(list).unwrap();
        assert!(servers.iter().all(|server| !server.address.has_user_pass()));
        servers.into_iter().map(|server| (server.to_string(), server.login)).collect()
    }

    #[test]
    fn a_url_says_where_and_who() {
        let password =
            |user: &str, password: &str| Login::Password { user: user.into(), password: password.into() };
        assert_eq!(parsed("nats://127.0.0.1"), [("127.0.0.1:4222".to_owned(), None)]);
        assert_eq!(parsed("example.org:1234"), [("example.org:1234".to_owned(), None)]);
        assert_eq!(
            parsed("nats://alice:s%40cret@[::1]:7,tls://t%2Ck@b/"),
            [
                ("[::1]:7".to_owned(), Some(password("alice", "s@cret"))),
                ("b:4222".to_owned(), Some(Login::Token("t,k".into()))),
            ]
        );
        assert!(Server::parse_all("tls://b").unwrap()[0].address.tls_required());
    }

    #[test]
    fn what_is_no_url_is_an_error_that_does_not_tell_the_password() {
        for url in [
            "",
            "nats://",
            "http://127.0.0.1",
            "ws://127.0.0.1",
            "nats://127.0.0.1:99999",
            "nats://alice:s3cret@127.0.0.1:x",
            "nats://alice:s3,cret@127.0.0.1",
            "nats://:s3cret@127.0.0.1",
            "nats://s3cret@127.0.0.1/path",
            "nats://127.0.0.1,",
        ] {
            let error = Server::parse_all(url).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{url}: {error}");
            let text = error.to_string();
            assert!(!text.contains("s3") && !text.contains("cret"), "{text}");
        }
    }
}
