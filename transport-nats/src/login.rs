use std::path::PathBuf;

use async_nats::ConnectOptions;
use tidings_router_core::{Error, Result};

/// How to log in.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Login {
    Password {
        user: String,
        password: String,
    },
    Token(String),
    /// The seed.
    NKey(String),
    /// A file with a JWT and a seed.
    Credentials(PathBuf),
}

impl Login {
    /// Options that log in so.
    pub(crate) async fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions> {
        Ok(match self {
            Self::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
            Self::Token(token) => options.token(token.clone()),
            Self::NKey(seed) => options.nkey(seed.clone()),
            Self::Credentials(path) => {
                options.credentials_file(path).await.map_err(|error| Error::Setting {
                    setting: "credentials_file".to_owned(),
                    reason: format!("{}: {error}", path.display()),
                })?
            }
        })
    }
}
