//! Requests of a login, through the same guard as all others. Left out: what they say.

use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use rmcp::transport::auth::{
    OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest,
};
use url::Url;

use super::super::config::Config;
use crate::egress::Egress;

/// The longest wait for an answer, and the most bytes of one.
const LONGEST: Duration = Duration::from_secs(30);
const LARGEST: usize = 1 << 20;

/// What sends the requests of a login.
pub(super) struct Http {
    egress: Egress,
    client: reqwest::Client,
}

impl Http {
    /// Asks where the configuration allows.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub(super) fn new(config: &Config) -> Result<Self, CallError> {
        let egress = Egress::new(&config.egress())
            .map_err(|problem| CallError::new(ErrorCode::InvalidRequest, problem.message))?;
        let client = egress.builder().build().map_err(|error| {
            CallError::new(
                ErrorCode::Internal,
                format!("no HTTP client can be made: {error}"),
            )
        })?;
        Ok(Self { egress, client })
    }

    async fn send(
        &self,
        request: OAuthHttpRequest,
    ) -> Result<::http::Response<Vec<u8>>, OAuthHttpClientError> {
        let OAuthHttpRequest {
            request, timeout, ..
        } = request;
        let url = Url::parse(&request.uri().to_string())?;
        self.egress.check(&url).map_err(|error| error.message)?;
        let mut request = reqwest::Request::try_from(request)?;
        *request.timeout_mut() = Some(timeout.map_or(LONGEST, |time| time.min(LONGEST)));
        // Redirects are not followed, whatever the request says: who asks looks at each.
        let mut response = self.client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST {
                return Err(format!("an answer has more than {LARGEST} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = ::http::Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl OAuthHttpClient for Http {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(self.send(request))
    }
}
