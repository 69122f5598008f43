//! Real handshakes between the two roles, in memory.

use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::{
    AlertDescription, CertificateError, ClientConnection, Error, HandshakeKind, ProtocolVersion,
    ServerConnection, SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::CertifiedKey,
};

use super::*;
use crate::pairing::exchange::EXPORTER_LABEL;

/// What the two ends make of a handshake: each its finished connection or its reason.
struct Outcome {
    client: Result<ClientConnection, Error>,
    server: Result<ServerConnection, Error>,
}

impl Outcome {
    fn both(self) -> (ClientConnection, ServerConnection) {
        (self.client.unwrap(), self.server.unwrap())
    }

    /// The agent turned the sender away, and said this much.
    fn assert_refused_by_server(self, alert: AlertDescription) {
        assert!(self.server.is_err());
        assert_eq!(self.client.unwrap_err(), Error::AlertReceived(alert));
    }
}

/// Carries bytes from one end to the other, and takes them in there.
macro_rules! carry {
    ($from:expr, $to:expr, $verdict:expr) => {{
        let mut wire = Vec::new();
        while $from.wants_write() {
            $from.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() && $verdict.is_ok() {
            $to.read_tls(&mut rest).unwrap();
            if let Err(error) = $to.process_new_packets() {
                $verdict = Err(error);
            }
        }
        !wire.is_empty()
    }};
}

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Outcome {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let (mut client_verdict, mut server_verdict) = (Ok(()), Ok(()));
    loop {
        let there = carry!(client, server, server_verdict);
        let back = carry!(server, client, client_verdict);
        if !there && !back {
            break;
        }
    }
    Outcome { client: client_verdict.map(|()| client), server: server_verdict.map(|()| server) }
}

fn identity() -> Identity {
    Identity::generate().unwrap()
}

/// An agent's door: these keys are known, and strangers may join or not.
fn admission(known: &[&Identity], joins_open: bool) -> Admission {
    let known = known.iter().map(|identity| identity.fingerprint()).collect::<Vec<_>>();
    Admission {
        known: Arc::new(move |print| known.contains(print)),
        joins_open: Arc::new(move || joins_open),
    }
}

/// Replaces what a sender shows.
fn showing(client: &ClientTls, shown: CertifiedKey) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client.config);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    Arc::new(config)
}

/// A certificate made by hand, with its key.
fn certified(
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> CertifiedKey {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::new(vec![certificate.into()], any_supported_type(&key).unwrap())
}

/// The certificate and key of an identity, with the certificates changed.
fn with_certificates(
    identity: &Identity,
    certificates: Vec<CertificateDer<'static>>,
) -> CertifiedKey {
    CertifiedKey::new(certificates, Arc::clone(&identity.certified_key().key))
}

#[test]
fn two_who_know_each_other_shake_hands_and_see_each_others_key() {
    let (sender, agent) = (identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let admission = admission(&[&sender], false);
    let (client, server) = shake(&client.config, &server_config(&agent, admission.clone())).both();
    let seen = peer_fingerprint(server.peer_certificates().unwrap()).unwrap();
    assert_eq!(seen, sender.fingerprint());
    let agent_seen = peer_fingerprint(client.peer_certificates().unwrap()).unwrap();
    assert_eq!(agent_seen, agent.fingerprint());
    assert_eq!(admission.purpose(server.alpn_protocol().unwrap(), &seen), Ok(Purpose::Job));
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let suite = server.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(server.server_name(), None);
}

#[test]
fn a_stranger_is_turned_away_and_learns_nothing_else() {
    let (sender, agent) = (identity(), identity());
    for purpose in [Purpose::Job, Purpose::Join] {
        let client = client_tls(&sender, agent.fingerprint(), purpose);
        let outcome = shake(&client.config, &server_config(&agent, admission(&[], false)));
        assert_eq!(u8::from(AlertDescription::AccessDenied), NOT_KNOWN_ALERT);
        outcome.assert_refused_by_server(AlertDescription::AccessDenied);
        assert_eq!(client.stranger(), None);
    }
}

#[test]
fn a_sender_that_was_revoked_is_a_stranger_at_once() {
    let (sender, agent) = (identity(), identity());
    let revoked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let read = Arc::clone(&revoked);
    let admission = Admission {
        known: Arc::new(move |_| !read.load(std::sync::atomic::Ordering::SeqCst)),
        joins_open: Arc::new(|| false),
    };
    let server = server_config(&agent, admission);
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    shake(&client.config, &server).both();
    revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    shake(&client.config, &server).assert_refused_by_server(AlertDescription::AccessDenied);
}

#[test]
fn while_an_invitation_is_open_a_stranger_may_join_and_do_nothing_else() {
    let (known, stranger, agent) = (identity(), identity(), identity());
    let check = |peer: &Identity, purpose: Purpose, joins_open: bool, admitted: bool| {
        let admission = admission(&[&known], joins_open);
        let client = client_tls(peer, agent.fingerprint(), purpose);
        let outcome = shake(&client.config, &server_config(&agent, admission.clone()));
        let Ok(server) = outcome.server else {
            assert!(!admitted);
            return;
        };
        let seen = peer_fingerprint(server.peer_certificates().unwrap()).unwrap();
        let found = admission.purpose(server.alpn_protocol().unwrap(), &seen);
        assert_eq!(found, if admitted { Ok(purpose) } else { Err(NotAdmitted {}) });
    };
    check(&stranger, Purpose::Join, true, true);
    check(&stranger, Purpose::Job, true, false);
    check(&stranger, Purpose::Join, false, false);
    check(&stranger, Purpose::Job, false, false);
    check(&known, Purpose::Join, true, true);
    check(&known, Purpose::Job, true, true);
    check(&known, Purpose::Join, false, false);
    check(&known, Purpose::Job, false, true);
    let unnamed = admission(&[&known], true).purpose(b"h3", &known.fingerprint());
    assert_eq!(unnamed, Err(NotAdmitted {}));
}

#[test]
fn an_agent_with_another_key_is_refused_and_its_key_reported() {
    let (sender, agent, other) = (identity(), identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let outcome = shake(&client.config, &server_config(&other, admission(&[&sender], false)));
    let error = outcome.client.unwrap_err().to_string();
    assert!(error.contains(&agent.fingerprint().to_string()), "{error}");
    assert!(error.contains(&other.fingerprint().to_string()), "{error}");
    assert!(outcome.server.is_err());
    assert_eq!(client.stranger(), Some(other.fingerprint()));
}

#[derive(Debug)]
struct ShowsNothing;

impl ResolvesClientCert for ShowsNothing {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn a_sender_without_a_certificate_is_refused() {
    let (sender, agent) = (identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let mut config = ClientConfig::clone(&client.config);
    config.client_auth_cert_resolver = Arc::new(ShowsNothing);
    let server = server_config(&agent, admission(&[&sender], true));
    shake(&Arc::new(config), &server)
        .assert_refused_by_server(AlertDescription::CertificateRequired);
}

#[test]
fn a_sender_with_a_known_certificate_and_another_private_key_is_refused() {
    let (sender, thief, agent) = (identity(), identity(), identity());
    let client = client_tls(&thief, agent.fingerprint(), Purpose::Job);
    let copied = with_certificates(&thief, sender.certified_key().cert.clone());
    let server = server_config(&agent, admission(&[&sender], false));
    let outcome = shake(&showing(&client, copied), &server);
    outcome.assert_refused_by_server(AlertDescription::DecryptError);
}

#[test]
fn an_agent_with_the_pinned_certificate_and_another_private_key_is_refused() {
    let (sender, agent, thief) = (identity(), identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let copied = with_certificates(&thief, agent.certified_key().cert.clone());
    let mut config = ServerConfig::clone(&server_config(&thief, admission(&[&sender], true)));
    config.cert_resolver = Arc::new(SingleCertAndKey::from(copied));
    let error = shake(&client.config, &Arc::new(config)).client.unwrap_err();
    #[allow(deprecated)]
    let bad_signature = Error::InvalidCertificate(CertificateError::BadSignature);
    assert_eq!(error, bad_signature);
}

#[test]
fn names_and_dates_of_certificates_do_not_matter() {
    let agent = identity();
    for (from, to) in [(1990, 1991), (2990, 2991), (2991, 1990)] {
        let shown = certified(&rcgen::PKCS_ED25519, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
            params.distinguished_name.push(DnType::CommonName, "somebody else");
        });
        let print = peer_fingerprint(&shown.cert).unwrap();
        let admission = Admission {
            known: Arc::new(move |peer| *peer == print),
            joins_open: Arc::new(|| false),
        };
        let client = client_tls(&identity(), agent.fingerprint(), Purpose::Job);
        shake(&showing(&client, shown), &server_config(&agent, admission)).both();
    }
}

#[test]
fn a_key_on_the_curve_p256_is_as_good_and_one_on_p384_is_not() {
    let agent = identity();
    let try_key = |algorithm| {
        let client = client_tls(&identity(), agent.fingerprint(), Purpose::Join);
        let shown = certified(algorithm, |_| {});
        shake(&showing(&client, shown), &server_config(&agent, admission(&[], true))).server
    };
    assert!(try_key(&PKCS_ECDSA_P256_SHA256).is_ok());
    assert!(try_key(&PKCS_ECDSA_P384_SHA384).is_err());
}

#[test]
fn chains_large_and_malformed_certificates_are_refused_even_while_joins_are_open() {
    let (sender, agent) = (identity(), identity());
    let own = sender.certificate().clone();
    let padded = |bytes: usize| {
        let shown = certified(&rcgen::PKCS_ED25519, |params| {
            params.distinguished_name.push(DnType::CommonName, "x".repeat(bytes));
        });
        shown.cert[0].clone()
    };
    let mut truncated = own.to_vec();
    truncated.pop();
    for certificates in [
        vec![own.clone(), own.clone()],
        vec![own.clone(); 50],
        vec![padded(CERTIFICATE_BYTES_MAX)],
        vec![padded(100 * 1024)],
        vec![truncated.into()],
        vec![vec![0xff; 100].into()],
        vec![vec![].into()],
    ] {
        let client = client_tls(&sender, agent.fingerprint(), Purpose::Join);
        let shown = with_certificates(&sender, certificates);
        let server = server_config(&agent, admission(&[&sender], true));
        assert!(shake(&showing(&client, shown), &server).server.is_err());
    }
}

#[test]
fn a_second_handshake_is_as_full_as_the_first() {
    let (sender, agent) = (identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let server = server_config(&agent, admission(&[&sender], false));
    for _ in 0..2 {
        let (mut client, server) = shake(&client.config, &server).both();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
        assert!(client.early_data().is_none());
    }
}

#[test]
fn an_end_that_would_resume_finds_nothing_to_resume() {
    let (sender, agent) = (identity(), identity());
    let pinned = client_tls(&sender, agent.fingerprint(), Purpose::Job);
    let mut willing = ClientConfig::clone(&pinned.config);
    willing.resumption = Resumption::in_memory_sessions(8);
    willing.enable_early_data = true;
    let willing = Arc::new(willing);
    let server = server_config(&agent, admission(&[&sender], false));
    for _ in 0..2 {
        let (client, _) = shake(&willing, &server).both();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn a_client_of_another_protocol_gets_no_connection() {
    let (sender, agent) = (identity(), identity());
    let mut config =
        ClientConfig::clone(&client_tls(&sender, agent.fingerprint(), Purpose::Job).config);
    config.alpn_protocols = vec![b"quicopy/99".to_vec()];
    let server = server_config(&agent, admission(&[&sender], false));
    shake(&Arc::new(config), &server)
        .assert_refused_by_server(AlertDescription::NoApplicationProtocol);
}

#[test]
fn both_ends_of_one_connection_draw_one_exporter_value_and_no_other_has_it() {
    let (sender, agent) = (identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Join);
    let server = server_config(&agent, admission(&[], true));
    let draw = || {
        let (client, server) = shake(&client.config, &server).both();
        let ours = client.export_keying_material([0_u8; 32], EXPORTER_LABEL, None).unwrap();
        let theirs = server.export_keying_material([0_u8; 32], EXPORTER_LABEL, Some(&[])).unwrap();
        assert_eq!(ours, theirs);
        ours
    };
    assert_ne!(draw(), draw());
}

#[test]
fn quic_takes_both_configurations() {
    let (sender, agent) = (identity(), identity());
    let client = client_tls(&sender, agent.fingerprint(), Purpose::Job).config;
    let server = server_config(&agent, admission(&[], false));
    quinn_proto::crypto::rustls::QuicClientConfig::try_from(client).unwrap();
    quinn_proto::crypto::rustls::QuicServerConfig::try_from(server).unwrap();
}

#[test]
fn the_key_of_a_peer_that_has_shown_not_one_certificate_is_unknown() {
    let own = identity().certificate().clone();
    assert_eq!(peer_fingerprint(&[]), Err(PeerKeyError::NoCertificate));
    let two = peer_fingerprint(&[own.clone(), own]);
    assert_eq!(two, Err(PeerKeyError::Chain { count: 2 }));
}
