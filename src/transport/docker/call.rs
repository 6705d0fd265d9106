//! What kind of call a request is: what it may cost in time, and whether it may be repeated.

use std::time::Duration;

use http::{Method, Uri};

/// A leader that is lost makes managers answer after 20 s: less would call them dead.
const ANSWER: Duration = Duration::from_secs(60);

/// How a call behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Answers at once, wholly, within a limit. Goes over a kept connection.
    Short(Duration),
    /// Answers for as long as it likes. Has a connection to itself, and no limit of ours.
    Long,
}

/// The shape of a call, from its path without version prefix.
pub fn shape(method: &Method, uri: &Uri) -> Shape {
    let path: Vec<&str> = uri.path().split('/').filter(|s| !s.is_empty()).collect();
    // A name of an image may have slashes in it: what is done stands last.
    let (first, last) = (path.first().copied().unwrap_or(""), path.last().copied().unwrap_or(""));
    let post = *method == Method::POST;
    let get = *method == Method::GET;
    let long = match first {
        "events" | "build" | "session" | "grpc" => true,
        "images" => post && matches!(last, "create" | "load" | "push" | "prune") || get && last == "get",
        "containers" => {
            matches!(last, "attach" | "ws" | "export" | "archive" | "logs" | "stats" | "wait" | "stop" | "restart")
                || post && last == "prune"
        }
        "exec" => post && last == "start",
        "services" | "tasks" => last == "logs",
        "plugins" => post && matches!(last, "pull" | "push" | "upgrade" | "create"),
        "volumes" | "networks" => post && last == "prune",
        // Joining waits for the managers, and leaving for the engine's tasks.
        "swarm" => post && matches!(last, "join" | "init" | "leave"),
        "system" => last == "df",
        _ => false,
    };
    if long { Shape::Long } else { Shape::Short(ANSWER) }
}

/// True when asking twice is as good as asking once.
pub fn repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let of = |method: &str, path: &str| shape(&method.parse().unwrap(), &path.parse().unwrap());
        for (method, path) in [
            ("GET", "/info"),
            ("GET", "/services?filters=x"),
            ("GET", "/images/registry.example:5000/a/b:1/json"),
            ("POST", "/services/create"),
            ("POST", "/configs/create"),
            ("POST", "/containers/create"),
            ("GET", "/containers/json"),
            ("DELETE", "/images/create"),
        ] {
            assert!(matches!(of(method, path), Shape::Short(_)), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/events?filters=x"),
            ("POST", "/images/create?fromImage=a"),
            ("POST", "/images/registry.example/a/b/push"),
            ("GET", "/images/a/get"),
            ("POST", "/images/load"),
            ("GET", "/services/x/logs?follow=true"),
            ("POST", "/exec/1/start"),
            ("POST", "/containers/1/wait"),
            ("POST", "/swarm/join"),
        ] {
            assert_eq!(of(method, path), Shape::Long, "{method} {path}");
        }
    }
}
