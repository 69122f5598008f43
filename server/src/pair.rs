//! Trusting an agent and being trusted by it: `quicopy pair`, `agents`, `identity`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};
use quicopy_certs::pairing::exchange::{Channel, EXPORTER_LABEL, JoinReply, join_request};
use quicopy_certs::pairing::token::Token;
use quicopy_certs::tls::{Purpose, client_tls};
use quicopy_certs::{Identity, KnownAgent, KnownAgents, PeerName, StateDir};
use quicopy_protocol::transport::pairing::PairingSender;
use quicopy_protocol::transport::{Dialer, export_keying_material};

use crate::cli::{Address, DEFAULT_PORT};

/// Pairs with the agent at `address`, which gave out `token`. Returns what to tell the user.
///
/// # Errors
/// The token is none or for another agent, the agent cannot be reached or does not accept it, or the name is taken.
pub async fn pair(
    state: &Path,
    address: &Address,
    token: &str,
    name: Option<&str>,
) -> anyhow::Result<String> {
    let token: Token = token.trim().parse()?;
    let state = StateDir::open_or_create(state)?;
    let identity = Identity::load_or_create(&state)?;
    let address =
        Address { host: address.host.clone(), port: Some(address.port.unwrap_or(DEFAULT_PORT)) };
    let agents = KnownAgents::new(&state);
    let wanted = match name {
        Some(name) => Some(name.parse::<PeerName>()?),
        None => None,
    };
    if wanted.as_ref().is_some_and(|wanted| wanted.as_str().len() == 1) {
        bail!("a name of one letter reads like a drive in NAME:SHARE; choose a longer --name");
    }
    if let Some(wanted) = &wanted
        && let Some(taken) = agents.list()?.find_named(wanted.as_str())
        && taken.fingerprint != token.agent()
    {
        bail!(
            "another agent is called {wanted} here; choose another --name, or: quicopy agents forget {wanted}"
        );
    }

    let tls = client_tls(&identity, token.agent(), Purpose::Join);
    let dialer = Dialer::bind()?;
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host(address.to_string())
        .await
        .with_context(|| format!("{address}: the name cannot be resolved"))?
        .collect();
    let mut connection = None;
    let mut failure = anyhow::anyhow!("{address}: the name has no address");
    for socket in resolved {
        match dialer.connect(socket, tls.config.clone()).await {
            Ok(made) => {
                connection = Some(made);
                break;
            }
            Err(error) => failure = error.into(),
        }
    }
    let Some(connection) = connection else {
        if let Some(shown) = tls.stranger() {
            bail!(
                "another machine answers at {address} than the one that gave out the token; nothing was sent\n  \
                 token:  {}\n  shown:  {shown}",
                token.agent()
            );
        }
        return Err(failure.context(format!(
            "no agent was reached at {address}; is it running, and does a firewall let UDP through?"
        )));
    };

    let exporter = export_keying_material(&connection, EXPORTER_LABEL, b"", 32)
        .and_then(|secret| <[u8; 32]>::try_from(secret).ok())
        .context("the connection has no secret of its own")?;
    let channel = Channel { exporter, sender: identity.fingerprint(), agent: token.agent() };
    let host = rustix::system::uname();
    let label = PeerName::resembling(&host.nodename().to_string_lossy());
    let request = join_request(token.secret(), &channel, &label);
    let refused = "the agent does not accept the token: it was used, has expired or was withdrawn; \
                   on its host run quicopy-agent invite again";
    let mut dialogue = PairingSender::open(&connection).await.context(refused)?;
    let reply = dialogue.ask(request.into()).await.context(refused)?;
    dialogue.finish();
    let grant = match JoinReply::decode(&reply)? {
        JoinReply::Accepted(grant) => grant,
        JoinReply::Refused(refusal) => bail!("{refusal}"),
    };

    let agent = KnownAgent {
        name: wanted.clone().unwrap_or(grant.agent_name),
        fingerprint: token.agent(),
        addresses: vec![address.to_string()],
        shares: grant.shares,
        permits: grant.permits,
        paired_at: SystemTime::now(),
    };
    let agent = match wanted {
        Some(_) => {
            agents.replace(agent.clone())?;
            agent
        }
        None => agents.add_under_free_name(agent)?,
    };
    Ok(format!(
        "Paired with {name} at {address}.\n  Shares  : {shares}\n  Permits : {permits}\n  Agent   : {theirs}\n  \
         Sender  : {ours} (there called {label})\nTry: quicopy FOLDER {name}:SHARE/FOLDER /MIR /L\n",
        name = agent.name,
        shares = agent.shares,
        permits = agent.permits,
        theirs = agent.fingerprint,
        ours = identity.fingerprint(),
        label = grant.sender_name,
    ))
}

/// What `quicopy agents` prints.
///
/// # Errors
/// The file of known agents cannot be read.
pub fn list(state: &Path) -> anyhow::Result<String> {
    let agents = KnownAgents::new(&StateDir::open_or_create(state)?).list()?;
    if agents.iter().next().is_none() {
        return Ok("No agent is paired. On the agent's host: quicopy-agent invite; then here: quicopy pair HOST -\n".to_owned());
    }
    let mut text = String::new();
    for agent in agents.iter() {
        text += &format!(
            "{}\n  Address : {}\n  Shares  : {}\n  Permits : {}\n  Key     : {}\n",
            agent.name,
            agent.addresses.join(", "),
            agent.shares,
            agent.permits,
            agent.fingerprint
        );
    }
    Ok(text)
}

/// Forgets an agent.
///
/// # Errors
/// There is none of that name, or the file cannot be written.
pub fn forget(state: &Path, name: &str) -> anyhow::Result<String> {
    let agent = KnownAgents::new(&StateDir::open_or_create(state)?).revoke(name)?;
    Ok(format!(
        "{} is forgotten here. It still trusts this sender: on its host, quicopy-agent peers revoke.\n",
        agent.name
    ))
}

/// What `quicopy identity` prints: this sender's fingerprint, made at first use.
///
/// # Errors
/// The identity cannot be read or made.
pub fn identity(state: &Path) -> anyhow::Result<String> {
    let identity = Identity::load_or_create(&StateDir::open_or_create(state)?)?;
    Ok(format!("{}\n", identity.fingerprint()))
}
