//! How tasks stand to one another, between the wire and the domain.

use factory_domain::DependencyPolicy;

use crate::v1;

impl From<v1::DependencyPolicy> for DependencyPolicy {
    fn from(policy: v1::DependencyPolicy) -> Self {
        match policy {
            v1::DependencyPolicy::Unspecified | v1::DependencyPolicy::Cancel => Self::Cancel,
            v1::DependencyPolicy::Skip => Self::Skip,
            v1::DependencyPolicy::Run => Self::Run,
        }
    }
}

impl From<DependencyPolicy> for v1::DependencyPolicy {
    fn from(policy: DependencyPolicy) -> Self {
        match policy {
            DependencyPolicy::Cancel => Self::Cancel,
            DependencyPolicy::Skip => Self::Skip,
            DependencyPolicy::Run => Self::Run,
        }
    }
}
