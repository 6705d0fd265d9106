//! The supply of images: what a cluster wants, what its nodes lack, and the ways there: pulled from a registry by each
//! node, or carried in a bundle.

pub mod archive;
pub mod inventory;
pub mod mirror;
pub mod prune;
pub mod remote;
pub mod save;
pub mod send;
pub mod tar;
mod view;
pub mod whole;

use std::collections::BTreeSet;

use reemo_model::op::DumpWay;

use super::site::{ClusterSite, Site};

/// Every image a cluster wants: of its services, what they start themselves, and the programs of a dump.
pub fn references(cluster: &ClusterSite) -> BTreeSet<&str> {
    let mut all = BTreeSet::new();
    for service in &cluster.wanted.services {
        all.insert(service.image.as_str());
        all.extend(service.warm_up.iter().map(String::as_str));
        if let Some(DumpWay::Aside { image, .. }) = service.dump.as_ref().map(|d| &d.way) {
            all.insert(image);
        }
    }
    all
}

/// The same of the whole site.
pub fn all_references(site: &Site) -> BTreeSet<String> {
    site.clusters.values().flat_map(references).map(str::to_owned).collect()
}
