# AWS. Everything else has the defaults of variables.tf; set alarm_email.
architecture = "arm64"
