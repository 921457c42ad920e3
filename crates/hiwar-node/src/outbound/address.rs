//! Which addresses are public: the ones that a URL from a stranger may lead to.
//!
//! Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its
//! updates); the addresses of cloud metadata services as their providers document them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services: whoever reaches one from inside of a cloud machine gets its credentials.
/// AWS, Azure, Google, Oracle and others; AWS containers; Alibaba; Azure's host; Oracle; AWS over
/// IPv6; Google over IPv6.
const METADATA: [&str; 7] = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
];

/// First address, length of the prefix, and what the block is.
type Block4 = (Ipv4Addr, u8, &'static str);

const SPECIAL_V4: [Block4; 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address of a carrier's inner network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// Why an address is not public; nothing for a public one.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    if is_metadata(address) {
        return Some("the address of a cloud's metadata service");
    }
    match address {
        IpAddr::V4(v4) => not_public_v4(v4),
        IpAddr::V6(v6) => not_public_v6(v6),
    }
}

/// Whether an address, in whatever form, is that of a cloud's metadata service.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    let inner = match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    METADATA.iter().filter_map(|text| text.parse::<IpAddr>().ok()).any(|known| known == inner)
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let held = SPECIAL_V4.iter().find(|(first, bits, _)| within_v4(address, *first, *bits));
    held.map(|(_, _, what)| *what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(v4) = embedded(address) {
        return not_public_v4(v4);
    }
    let [first, second, ..] = address.segments();
    match (first, second) {
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        (0xfc00..=0xfdff, _) => Some("a unique local address"),
        (0xfe80..=0xfebf, _) => Some("a link-local address"),
        (0xff00..=0xffff, _) => Some("a multicast address"),
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => Some("an address for documentation"),
        // Teredo, benchmarks, ORCHID: 2001::/23 holds no ordinary host.
        (0x2001, 0..=0x01ff) => Some("a reserved address"),
        // Global unicast is 2000::/3; everything else is reserved.
        (0x2000..=0x3fff, _) => None,
        _ => Some("a reserved address"),
    }
}

/// The IPv4 address that travels inside of an IPv6 one: mapped (`::ffff:0:0/96`), compatible
/// (`::/96`), NAT64 (`64:ff9b::/96`, RFC 6052) and 6to4 (`2002::/16`, RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x0064, 0xff9b, 0, 0, 0, 0) => Some(of(g, h)),
        (0, 0, 0, 0, 0, 0) if g != 0 => Some(of(g, h)),
        (0x2002, ..) => Some(of(b, c)),
        _ => None,
    }
}

fn within_v4(address: Ipv4Addr, first: Ipv4Addr, bits: u8) -> bool {
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
    u32::from(address) & mask == u32::from(first) & mask
}

/// Whether an address lies in a block; an IPv4 address in its mapped form counts as itself.
pub(super) fn within(address: IpAddr, first: IpAddr, bits: u8) -> bool {
    match (address.to_canonical(), first) {
        (IpAddr::V4(address), IpAddr::V4(first)) => within_v4(address, first, bits),
        (IpAddr::V6(address), IpAddr::V6(first)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            u128::from(address) & mask == u128::from(first) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_special_purpose_registries_are_not_public_in_any_form() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.1.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
        ] {
            let v4: Ipv4Addr = text.parse().unwrap();
            let [a, b, c, d] = v4.octets();
            let pair = |x, y| format!("{x:02x}{y:02x}");
            let forms = [
                text.to_owned(),
                format!("::ffff:{text}"),
                format!("64:ff9b::{text}"),
                format!("2002:{}:{}::1", pair(a, b), pair(c, d)),
            ];
            for form in forms {
                assert!(not_public(form.parse().unwrap()).is_some(), "{form}");
            }
        }
        for text in [
            "::",
            "::1",
            "::7f00:1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::a00:1",
            "4000::1",
        ] {
            assert!(not_public(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn ordinary_hosts_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
        ] {
            assert_eq!(not_public(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn a_block_ends_where_its_prefix_says() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (address, first, bits, inside) in [
            ("10.1.2.3", "10.1.0.0", 16, true),
            ("10.2.0.0", "10.1.0.0", 16, false),
            ("::ffff:10.1.2.3", "10.1.0.0", 16, true),
            ("9.9.9.9", "0.0.0.0", 0, true),
            ("9.9.9.9", "9.9.9.9", 32, true),
            ("9.9.9.8", "9.9.9.9", 32, false),
            ("fd00::1", "fd00::", 8, true),
            ("fe00::1", "fd00::", 8, false),
            ("fd00::1", "::", 0, true),
            ("::1", "::1", 128, true),
            ("127.0.0.1", "::1", 0, false),
        ] {
            assert_eq!(within(ip(address), ip(first), bits), inside, "{address} {first}/{bits}");
        }
    }
}
