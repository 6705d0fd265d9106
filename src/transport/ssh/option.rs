//! OpenSSH's options: which we follow, which cannot matter to us, and which we cannot follow.
//!
//! One table for `~/.ssh/config` and for `-o` in `ansible_ssh_common_args`.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::ssh::common_args;
use crate::ssh::target::HostKeyChecking;

/// Something about SSH in the configuration that we cannot follow.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{place}: {message}")]
pub struct SettingsError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file.
    File(PathBuf, usize),
    /// A variable or an option of ours.
    Named(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Named(name) => f.write_str(name),
        }
    }
}

/// What the options say. As in OpenSSH the first value stays; files of keys add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `HostName`.
    pub host_name: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`, all of them.
    pub identity_files: Vec<String>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`; `none` for no agent.
    pub identity_agent: Option<String>,
    /// `ProxyJump`; `none` for no hop.
    pub proxy_jump: Option<String>,
    /// `UserKnownHostsFile`.
    pub known_hosts: Option<Vec<String>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts: Option<Vec<String>>,
    /// `StrictHostKeyChecking`.
    pub host_key_checking: Option<HostKeyChecking>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `ConnectTimeout`, in seconds.
    pub connect_timeout: Option<u64>,
    /// For people: what was understood in another way than it is written.
    pub warnings: Vec<String>,
}

/// Options that change nothing here: what they are about we do not do, or do in our own way.
const HARMLESS: &str = " addkeystoagent batchmode casignaturealgorithms canonicaldomains canonicalizefallbacklocal \
 canonicalizemaxdots canonicalizepermittedcnames checkhostip ciphers clearallforwardings compression \
 connectionattempts controlmaster controlpath controlpersist dynamicforward enableescapecommandline enablesshkeysign \
 escapechar exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout \
 forwardx11trusted gatewayports gssapiauthentication gssapidelegatecredentials gssapikeyexchange \
 gssapikexalgorithms gssapirenewalforcesrekey gssapitrustdns gssapiclientidentity gssapiserveridentity \
 hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes hostkeyalgorithms \
 ignoreunknown ipqos kbdinteractiveauthentication kbdinteractivedevices challengeresponseauthentication \
 kexalgorithms localcommand localforward loglevel logverbose macs nohostauthenticationforlocalhost \
 numberofpasswordprompts obscurekeystroketiming passwordauthentication permitlocalcommand permitremoteopen \
 preferredauthentications pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication rekeylimit \
 remotecommand remoteforward requesttty requiredrsasize rsaminsize sendenv serveralivecountmax serveraliveinterval \
 sessiontype setenv stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel \
 tunneldevice updatehostkeys useroaming usekeychain verifyhostkeydns visualhostkey warnweakcrypto xauthlocation ";

impl Options {
    /// Takes one option. `key` in any case.
    pub fn set(&mut self, key: &str, value: &str, place: &Place) -> Result<(), SettingsError> {
        let lower = key.to_ascii_lowercase();
        let wrong =
            |message: String, hint: &str| Err(SettingsError { place: place.clone(), message, hint: hint.to_owned() });
        let text = || Some(value.to_owned());
        let list = || Some(value.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>());
        match lower.as_str() {
            "hostname" => keep(&mut self.host_name, text()),
            "user" => keep(&mut self.user, text()),
            "hostkeyalias" => keep(&mut self.host_key_alias, text()),
            "identityagent" => keep(&mut self.identity_agent, text()),
            "proxyjump" => keep(&mut self.proxy_jump, text()),
            "userknownhostsfile" => keep(&mut self.known_hosts, list()),
            "globalknownhostsfile" => keep(&mut self.global_known_hosts, list()),
            "identityfile" => {
                if !self.identity_files.iter().any(|f| f == value) {
                    self.identity_files.push(value.to_owned());
                }
            }
            "port" => match value.parse::<u16>() {
                Ok(port) if port > 0 => keep(&mut self.port, Some(port)),
                _ => return wrong(format!("{value:?} is not a port"), "write a number from 1 to 65535"),
            },
            "connecttimeout" => match value {
                "none" | "0" => {}
                _ => match value.parse() {
                    Ok(seconds) => keep(&mut self.connect_timeout, Some(seconds)),
                    Err(_) => {
                        return wrong(format!("{value:?} is not a number of seconds"), "write ConnectTimeout 10");
                    }
                },
            },
            "identitiesonly" => match yes_or_no(value) {
                Some(only) => keep(&mut self.identities_only, Some(only)),
                None => return wrong(format!("IdentitiesOnly {value}"), "write yes or no"),
            },
            "stricthostkeychecking" => {
                let checking = match value.to_ascii_lowercase().as_str() {
                    "yes" | "true" | "ask" => HostKeyChecking::Strict,
                    "accept-new" => HostKeyChecking::AcceptNew,
                    "no" | "off" | "false" => {
                        if self.host_key_checking.is_none() {
                            self.warnings.push(format!(
                                "{place}: StrictHostKeyChecking {value} is taken as accept-new: a changed key is still refused"
                            ));
                        }
                        HostKeyChecking::AcceptNew
                    }
                    _ => return wrong(format!("StrictHostKeyChecking {value}"), "write yes or accept-new"),
                };
                keep(&mut self.host_key_checking, Some(checking));
            }
            "proxycommand" if value.eq_ignore_ascii_case("none") => {}
            "proxycommand" => match common_args::jump_of(value) {
                Some(jump) => keep(&mut self.proxy_jump, Some(jump)),
                None => {
                    return wrong(
                        format!("ProxyCommand {value:?} is not supported"),
                        "write it as ProxyJump user@bastion:port (or ansible_ssh_common_args: '-J user@bastion:port')",
                    );
                }
            },
            "canonicalizehostname" | "proxyusefdpass" if yes_or_no(value) == Some(false) => {}
            // These decide whom we believe, who we are, or where packets go.
            "addressfamily"
            | "bindaddress"
            | "bindinterface"
            | "canonicalizehostname"
            | "certificatefile"
            | "knownhostscommand"
            | "pkcs11provider"
            | "proxyusefdpass"
            | "revokedhostkeys"
            | "securitykeyprovider" => {
                if !matches!(value, "none" | "any" | "internal") {
                    return wrong(format!("{key} is not supported"), "remove it for these hosts");
                }
            }
            other if HARMLESS.contains(&format!(" {other} ")) => {}
            _ => self.warnings.push(format!("{place}: {key} is not an option we know; it is left out")),
        }
        Ok(())
    }
}

fn keep<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn yes_or_no(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}
