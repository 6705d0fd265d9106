//! The database, over TLS with the service's own certificate.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{ClientIdentity, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, SslOpts};

use crate::Failure;
use crate::settings::{Settings, text};

/// Where the database is and how it is spoken to: `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER`, `DB_TLS` and the secret
/// `db_user_password`.
pub fn options(settings: &Settings) -> Result<Opts, Failure> {
    let need = |name: &str| text(name).ok_or_else(|| Failure::new(3, format!("{name} is not set")));
    if let Some(dialect) = text("DB_DIALECT").filter(|d| d != "mysql") {
        return Err(Failure::new(3, format!("DB_DIALECT `{dialect}` is not known: only mysql is")));
    }
    let port = text("DB_PORT").unwrap_or_else(|| "3306".into());
    let port = port.parse().map_err(|_| Failure::new(3, format!("DB_PORT `{port}` is not a port")))?;
    let pool = PoolOpts::default()
        .with_constraints(PoolConstraints::new(0, 4).unwrap_or_default())
        .with_inactive_connection_ttl(Duration::from_secs(10));
    let builder = OptsBuilder::default()
        .ip_or_hostname(need("DB_HOST")?)
        .tcp_port(port)
        .db_name(Some(need("DB_NAME")?))
        .user(Some(need("DB_USER")?))
        .pass(Some(settings.secret("db_user_password")?))
        .prefer_socket(false)
        .pool_opts(pool)
        .ssl_opts(tls(settings, &text("DB_TLS").unwrap_or_else(|| "mtls".into()))?);
    Ok(builder.into())
}

fn tls(settings: &Settings, kind: &str) -> Result<Option<SslOpts>, Failure> {
    let file = |name: &str| -> PathBuf { settings.secrets.join(name) };
    match kind {
        "mtls" => Ok(Some(
            SslOpts::default()
                .with_disable_built_in_roots(true)
                .with_root_certs(vec![file("ca.crt").into()])
                .with_client_identity(Some(ClientIdentity::new(file("tls.crt").into(), file("tls.key").into()))),
        )),
        // A site's own database has an authority we do not know.
        "tls" => Ok(Some(SslOpts::default().with_danger_accept_invalid_certs(true))),
        "none" => Ok(None),
        other => Err(Failure::new(3, format!("DB_TLS `{other}` is not known: mtls, tls or none"))),
    }
}

/// A pool of connections, each made when it is first needed.
pub fn pool(settings: &Settings) -> Result<Pool, Failure> {
    Ok(Pool::new(options(settings)?))
}

/// An error of the database as text; the password is in none of them.
pub fn why(error: mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(e) => format!("{} (ERROR {})", e.message, e.code),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { secrets: "/run/secrets".into(), ..Settings::from_env("api") }
    }

    #[test]
    fn three_ways_to_connect() {
        let mtls = tls(&settings(), "mtls").unwrap().unwrap();
        assert!(mtls.client_identity().is_some() && mtls.disable_built_in_roots() && !mtls.accept_invalid_certs());
        assert!(tls(&settings(), "tls").unwrap().unwrap().accept_invalid_certs());
        assert!(tls(&settings(), "none").unwrap().is_none());
        assert!(tls(&settings(), "maybe").is_err());
    }
}
