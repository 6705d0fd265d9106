//! Where a platform's images come from, and the proxy an engine reaches a registry through.

use std::net::IpAddr;

use crate::secret::Secret;

/// `IMAGE_MODE`, once it is known what `auto` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every node pulls from `REGISTRY_URL`.
    #[default]
    Registry,
    /// Every node pulls from `REGISTRY_URL` through `IMAGE_PROXY`.
    Proxy,
    /// Every node pulls from `REGISTRY_URL`, which is a registry of the site.
    Mirror,
    /// Nobody pulls: images are sent to the nodes out of a bundle.
    Offline,
}

impl Mode {
    /// What `IMAGE_MODE` says; `auto`: what the other variables ask for.
    pub fn of(said: &str, proxy: bool, bundle: bool) -> Mode {
        match said {
            "registry" => Mode::Registry,
            "proxy" => Mode::Proxy,
            "mirror" => Mode::Mirror,
            "offline" => Mode::Offline,
            _ if bundle => Mode::Offline,
            _ if proxy => Mode::Proxy,
            _ => Mode::Registry,
        }
    }

    /// As `IMAGE_MODE` has it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Registry => "registry",
            Mode::Proxy => "proxy",
            Mode::Mirror => "mirror",
            Mode::Offline => "offline",
        }
    }
}

/// The proxy of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// `http://user:password@proxy.example.org:3128`. A login may be in it.
    pub url: Secret,
    /// What is reached without it.
    pub except: Vec<String>,
}

/// Why an address cannot be that of a proxy, in words. Never contains the address: a password may be in it.
pub fn proxy_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = ["http://", "https://", "socks5://"].iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return Some("must begin with http://, https:// or socks5://");
    };
    // It stands between double quotes in a file that systemd reads.
    if url.chars().any(|c| c.is_whitespace() || c.is_control() || "\"'\\`$<>".contains(c)) {
        return Some("has a character that must be written as %XX in it (a blank, a quote, `\\`, `$`, `<`, `>`)");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((v6, port)) => (v6, port.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Some("names no host");
    }
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return Some("has no valid port");
    }
    (rest.len() > authority.len() + 1).then_some("has a path: a proxy has none")
}

/// The password in a proxy's address, as it is written there.
pub fn proxy_password(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@')?.0.split_once(':').map(|(_, password)| password)
}

/// What an engine reaches without its proxy: itself, the other nodes (Swarm's own connections honour a proxy too), the
/// registry where that is inside, and what the site names. Only what the inventory says counts, so that it is the same
/// in every run.
pub fn without_proxy(nodes: &[String], registry: &str, more: &str) -> Vec<String> {
    let mut all: Vec<String> = ["localhost", "127.0.0.0/8", "::1"].map(str::to_owned).into();
    let mut add = |entry: &str| {
        let entry = entry.trim();
        if !entry.is_empty() && all.iter().all(|known| known != entry) {
            all.push(entry.to_owned());
        }
    };
    nodes.iter().for_each(|node| add(node));
    let host = host_of(registry);
    if is_inside(host) {
        add(host);
    }
    more.split([',', ' ']).for_each(add);
    all
}

/// Why an entry cannot stand in `NO_PROXY`, in words.
pub fn entry_problem(entry: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:/[]*".contains(c);
    let bad = entry.trim().chars().find(|c| !fits(*c))?;
    Some(format!("`{}` is no name, address or network (`{bad}`)", entry.trim()))
}

/// The name or address of `registry.example:5000/path`.
pub fn host_of(registry: &str) -> &str {
    let place = registry.split('/').next().unwrap_or_default();
    match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((v6, _)) => v6,
        None => place.split(':').next().unwrap_or_default(),
    }
}

/// True for a place that no proxy to the outside leads to: an address that only a site itself has, a name without a
/// domain, or one of a domain that nobody outside can have.
fn is_inside(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            !host.is_empty()
                && (!host.contains('.') || ["internal", "local", "lan", "home", "corp", "test"].contains(&last))
        }
    }
}

/// The file systemd reads an engine's proxy from: values between double quotes, one on a line.
pub fn environment(proxy: &Proxy) -> Secret {
    let url = proxy.url.expose_str().unwrap_or_default();
    let except = proxy.except.join(",");
    let text = format!("HTTP_PROXY=\"{url}\"\nHTTPS_PROXY=\"{url}\"\nNO_PROXY=\"{except}\"\n");
    Secret::unregistered(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (said, proxy, bundle, mode) in [
            ("auto", false, false, "registry"),
            ("auto", true, false, "proxy"),
            ("auto", false, true, "offline"),
            ("auto", true, true, "offline"),
            ("registry", true, true, "registry"),
            ("proxy", false, false, "proxy"),
            ("mirror", true, true, "mirror"),
            ("offline", false, false, "offline"),
        ] {
            assert_eq!(Mode::of(said, proxy, bundle).word(), mode, "{said} {proxy} {bundle}");
        }
    }

    #[test]
    fn addresses_of_proxies() {
        for good in [
            "http://proxy:3128",
            "http://proxy.example.org",
            "https://u:p%40ss@10.0.0.1:8080/",
            "http://[fd00::1]:3128",
            "socks5://p:1080",
        ] {
            assert_eq!(proxy_problem(good), None, "{good}");
        }
        for bad in [
            "proxy:3128",
            "ftp://proxy",
            "http://",
            "http://:3128",
            "http://u:p@:1",
            "http://proxy:port",
            "http://proxy:99999",
            "http://u:a b@proxy",
            "http://u:\"@proxy",
            "http://u:$x@proxy",
            "http://proxy/path",
            "http://[fd00::1]:x",
        ] {
            assert!(proxy_problem(bad).is_some(), "{bad}");
        }
        assert_eq!(proxy_password("http://user:p%40ss@proxy:3128"), Some("p%40ss"));
        assert_eq!((proxy_password("http://user@proxy"), proxy_password("http://proxy:3128")), (None, None));
    }

    #[test]
    fn what_needs_no_proxy() {
        let nodes = ["10.0.0.1".to_owned(), "infra1".to_owned(), "10.0.0.1".to_owned()];
        let all = |registry: &str, more: &str| without_proxy(&nodes, registry, more).join(",");
        let own = "localhost,127.0.0.0/8,::1,10.0.0.1,infra1";
        assert_eq!(all("registry.reemo.io", ""), own);
        assert_eq!(all("10.9.9.9:5000/x", ""), format!("{own},10.9.9.9"));
        assert_eq!(all("mirror:5000", ""), format!("{own},mirror"));
        assert_eq!(
            all("hub.site.internal", ".site.org, 10.0.0.0/8"),
            format!("{own},hub.site.internal,.site.org,10.0.0.0/8")
        );
        assert_eq!(all("8.8.8.8", "infra1"), own);
        assert!(entry_problem("a\"b").is_some() && entry_problem(" *.x.org ").is_none());
    }

    #[test]
    fn the_file_of_the_engine() {
        let proxy = Proxy { url: Secret::unregistered("http://u:p@proxy:1"), except: vec!["a".into(), "b".into()] };
        let text = environment(&proxy);
        assert_eq!(
            text.expose_str(),
            Some("HTTP_PROXY=\"http://u:p@proxy:1\"\nHTTPS_PROXY=\"http://u:p@proxy:1\"\nNO_PROXY=\"a,b\"\n")
        );
        assert!(!format!("{proxy:?}").contains("u:p"));
    }
}
