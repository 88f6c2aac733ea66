//! The services that are called without an SDK crate of their own: names, signing, and where AWS serves them.
//!
//! Refuses to know what is asked of them. Source: the `metadata` of the service models and the endpoint rules of the SDKs.

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon EC2, whose API has the VPC's parts.
    Ec2,
    /// AWS Security Token Service.
    Sts,
    /// AWS CloudTrail.
    CloudTrail,
    /// AWS Config.
    Config,
}

impl Service {
    /// Its id in a profile's `services` section and in `AWS_ENDPOINT_URL_…`.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Sts => "STS",
            Self::CloudTrail => "CloudTrail",
            Self::Config => "Config Service",
        }
    }

    /// What requests are signed for, and the first label of the host.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::CloudTrail => "cloudtrail",
            Self::Config => "config",
        }
    }

    /// Where AWS serves it in `region`.
    pub(super) fn endpoint(self, region: &str, fips: bool, dual_stack: bool) -> String {
        let suffix = domain(region, dual_stack);
        // In GovCloud the plain host is the one that conforms.
        let is_own_host = fips && (dual_stack || !region.starts_with("us-gov-"));
        let fips = if is_own_host { "-fips" } else { "" };
        format!("https://{}{fips}.{region}.{suffix}", self.signing_name())
    }
}

/// The domain of a region's partition. Source: the `partitions` of the SDKs' endpoint rules.
fn domain(region: &str, dual_stack: bool) -> &'static str {
    match (region.split('-').next().unwrap_or_default(), dual_stack) {
        ("cn", false) => "amazonaws.com.cn",
        ("cn", true) => "api.amazonwebservices.com.cn",
        ("eusc", _) => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        (_, false) => "amazonaws.com",
        (_, true) => "api.aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_by_partition() {
        let endpoint = |region| Service::Ec2.endpoint(region, false, false);
        assert_eq!(endpoint("eu-west-1"), "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(endpoint("us-gov-west-1"), "https://ec2.us-gov-west-1.amazonaws.com");
        assert_eq!(endpoint("cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(endpoint("us-iso-east-1"), "https://ec2.us-iso-east-1.c2s.ic.gov");
        assert_eq!(endpoint("us-isob-east-1"), "https://ec2.us-isob-east-1.sc2s.sgov.gov");
        let plain = |service: Service| service.endpoint("eu-west-1", false, false);
        assert_eq!(plain(Service::CloudTrail), "https://cloudtrail.eu-west-1.amazonaws.com");
        assert_eq!(plain(Service::Config), "https://config.eu-west-1.amazonaws.com");
    }

    #[test]
    fn endpoints_that_conform_or_speak_ipv6() {
        let fips = |region| Service::Sts.endpoint(region, true, false);
        assert_eq!(fips("us-east-1"), "https://sts-fips.us-east-1.amazonaws.com");
        assert_eq!(fips("us-gov-west-1"), "https://sts.us-gov-west-1.amazonaws.com");
        assert_eq!(Service::Ec2.endpoint("us-east-1", false, true), "https://ec2.us-east-1.api.aws");
        assert_eq!(
            Service::Config.endpoint("us-gov-east-1", true, true),
            "https://config-fips.us-gov-east-1.api.aws"
        );
    }
}
