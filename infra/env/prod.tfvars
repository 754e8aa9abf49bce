# AWS. All the rest is as variables.tf says; alarm_email is worth setting.
architecture = "arm64"
