//! A log group as requests name it: whether it exists, of which class it is, and whose it is.

use std::sync::Arc;

use aws_sdk_cloudwatchlogs::types::{LogGroup as Described, LogGroupClass as SdkClass};
use tokio::sync::OnceCell;

use super::LogGroup;
use super::call::{Cut, Service};
use crate::aws::{Action, AwsError};

/// How a log group can be read. It never changes (CloudWatch Logs User Guide, "Log classes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogGroupClass {
    /// By `FilterLogEvents`.
    Standard,
    /// By Logs Insights queries only, which cost by the bytes they read.
    InfrequentAccess,
    /// Not at all: it only passes events on.
    Delivery,
}

/// One log group and the service that has it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) service: Arc<Service>,
    pub(super) id: LogGroup,
    /// What messages call it.
    pub(super) name: String,
    /// A failure is kept too: every slice would run into it again.
    target: OnceCell<Result<Target, Cut>>,
}

/// What `DescribeLogGroups` says about it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) class: LogGroupClass,
    /// The ARN, where the group is another account's and its name alone would not find it.
    pub(super) identifier: Option<String>,
    /// What could not be found out.
    pub(super) note: Option<String>,
}

impl Group {
    pub(super) fn new(service: Arc<Service>, group: LogGroup) -> Self {
        let name = group.to_string();
        Self { service, id: group, name, target: OnceCell::new() }
    }

    /// What could not be found out about it, once it was asked.
    pub(super) fn note(&self) -> Option<String> {
        self.target.get()?.as_ref().ok()?.note.clone()
    }

    /// Looks the group up, once.
    pub(super) async fn target(&self) -> Result<&Target, Cut> {
        self.target.get_or_init(|| self.look_up()).await.as_ref().map_err(Cut::clone)
    }

    /// The same for a group that is about to be read.
    pub(super) async fn readable(&self) -> Result<&Target, Cut> {
        let target = self.target().await?;
        if target.class == LogGroupClass::Delivery {
            let message = "a log group of class DELIVERY holds no events to read\n\
                           hint: give the destination it delivers to, such as s3://BUCKET";
            return Err(Cut::Failed(self.failure(Action::FilterLogEvents, message)));
        }
        Ok(target)
    }

    pub(super) fn failure(&self, action: Action, message: impl Into<String>) -> AwsError {
        AwsError::Failed { action, resource: self.name.clone(), message: message.into() }
    }

    async fn look_up(&self) -> Result<Target, Cut> {
        match self.describe(None).await {
            Ok(Some(class)) => return Ok(Target { class, identifier: None, note: None }),
            Ok(None) => {}
            Err(Cut::Failed(error)) if error.is_denied() => {
                let note = format!(
                    "{}: {} is not allowed; taken for a log group of class STANDARD",
                    self.name,
                    Action::DescribeLogGroups.iam_name()
                );
                let identifier = self.id.identifier(&self.service.region);
                return Ok(Target { class: LogGroupClass::Standard, identifier, note: Some(note) });
            }
            Err(cut) => return Err(cut),
        }
        // A group of another account that this one monitors.
        if let Some(account) = &self.id.account_id
            && let Ok(Some(class)) = self.describe(Some(account)).await
        {
            let identifier = self.id.identifier(&self.service.region);
            return Ok(Target { class, identifier, note: None });
        }
        Err(Cut::Failed(AwsError::NotFound { resource: format!("{} in {}", self.name, self.service.region) }))
    }

    /// The class of the group, if it is there.
    async fn describe(&self, linked_account: Option<&String>) -> Result<Option<LogGroupClass>, Cut> {
        let mut token: Option<String> = None;
        loop {
            let page = self
                .service
                .call(Action::DescribeLogGroups, &self.name, || {
                    let request = self.service.client.describe_log_groups();
                    let request = request.log_group_name_prefix(&self.id.name);
                    let request = match linked_account {
                        Some(account) => request.account_identifiers(account).include_linked_accounts(true),
                        None => request,
                    };
                    request.set_next_token(token.clone()).send()
                })
                .await?;
            if let Some(found) = page.log_groups().iter().find(|found| self.is_this(found)) {
                return Ok(Some(class(found)));
            }
            let next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() || next == token {
                return Ok(None);
            }
            token = next;
        }
    }

    /// The results are of all groups whose names begin so, and may be of other accounts.
    fn is_this(&self, found: &Described) -> bool {
        let account = found.arn().and_then(|arn| arn.split(':').nth(4));
        let is_its_account = match (&self.id.account_id, account) {
            (Some(wanted), Some(account)) => wanted == account,
            _ => true,
        };
        found.log_group_name() == Some(&self.id.name) && is_its_account
    }
}

fn class(group: &Described) -> LogGroupClass {
    match group.log_group_class() {
        Some(SdkClass::InfrequentAccess) => LogGroupClass::InfrequentAccess,
        Some(SdkClass::Delivery) => LogGroupClass::Delivery,
        // Groups older than classes have none.
        _ => LogGroupClass::Standard,
    }
}
