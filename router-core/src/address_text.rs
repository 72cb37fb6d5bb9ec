use std::{borrow::Cow, fmt, ops::Deref};

/// Schemes of files, which may be called anything.
const FILES: [&str; 2] = ["ipc", "zmq+ipc"];

/// What stands in the place of a login.
const HIDDEN: &str = "***";

/// The text of an address, right or wrong, without who logs in and how: `redis://***@host` for `redis://user:password@host`.
///
/// For everything that is printed. It sooner hides too much of what is no address than too little.
pub fn without_login(text: &str) -> Cow<'_, str> {
    let parts = text.split_once("://").filter(|(scheme, _)| !scheme.contains([':', '@']));
    let (scheme, rest) = parts.unwrap_or(("", text));
    if FILES.contains(&scheme) {
        return Cow::Borrowed(text);
    }
    // A file, whose path may have an `@` in it; the login is in the query.
    let at = if scheme == "redis+unix" { None } else { rest.rfind('@') };
    let shown = match (at, rest.find('?')) {
        (None, None) => return Cow::Borrowed(text),
        (None, Some(query)) => format!("{}?{HIDDEN}", &rest[..query]),
        (Some(at), None) => format!("{HIDDEN}{}", &rest[at..]),
        (Some(at), Some(query)) if at < query => format!("{HIDDEN}{}?{HIDDEN}", &rest[at..query]),
        // Nobody knows where the login ends.
        (Some(_), Some(_)) => HIDDEN.to_owned(),
    };
    Cow::Owned(if scheme.is_empty() { shown } else { format!("{scheme}://{shown}") })
}

/// The text of an address as somebody has typed it, right or wrong. Printing it does not tell who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressText(String);

impl<T: Into<String>> From<T> for AddressText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// All of it.
impl Deref for AddressText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&without_login(&self.0))
    }
}

impl fmt::Debug for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_login(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_logs_in_is_not_told() {
        for (text, shown) in [
            ("redis://user:hunter2@host:1/0", "redis://***@host:1/0"),
            ("redis://:hunter2@host?protocol=resp2", "redis://***@host?***"),
            ("nats://hunter2@a,nats://user:hunter2@b", "nats://***@b"),
            ("redis+unix:///run/a@b.sock?pass=hunter2@x&user=y", "redis+unix:///run/a@b.sock?***"),
            ("redis://user:hunt?er2@host", "redis://***"),
            ("redis://user:hunt@er2@host", "redis://***@host"),
            ("pigeon://user:hunter2@host", "pigeon://***@host"),
            ("user:hunter2@host:1", "***@host:1"),
            ("user:hunter2@redis://host", "***@redis://host"),
        ] {
            assert_eq!(without_login(text), shown);
            assert_eq!(format!("{:?}", AddressText::from(text)), format!("{shown:?}"));
        }
    }

    #[test]
    fn what_has_no_login_is_told_as_it_is() {
        for text in
            ["", "tcp://[::1]:7", "ipc:///run/a@b?c.sock", "zmq+ipc:///a@b", "host:1", "redis://host/0"]
        {
            assert_eq!(without_login(text), text);
        }
    }
}
