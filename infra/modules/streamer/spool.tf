# A file system for the spool that outlives the task, with `spool = "efs"`.

locals {
  efs = var.spool == "efs" ? [1] : []
}

resource "aws_efs_file_system" "spool" {
  #checkov:skip=CKV_AWS_184:The AWS managed key encrypts at no monthly cost; the streamer alone can mount it.
  #checkov:skip=CKV2_AWS_18:It holds posts for the minutes until the log is back: a backup would be of nothing.
  count = length(local.efs)

  encrypted       = true
  throughput_mode = "elastic"
  tags            = { Name = "${var.name}-spool" }
}

resource "aws_efs_access_point" "spool" {
  count = length(local.efs)

  file_system_id = aws_efs_file_system.spool[0].id
  tags           = { Name = "${var.name}-spool" }

  posix_user {
    uid = 65532
    gid = 65532
  }

  root_directory {
    path = "/streamer"

    creation_info {
      owner_uid   = 65532
      owner_gid   = 65532
      permissions = "0700"
    }
  }
}

resource "aws_efs_mount_target" "spool" {
  count = var.spool == "efs" ? length(local.subnet_ids) : 0

  file_system_id  = aws_efs_file_system.spool[0].id
  subnet_id       = local.subnet_ids[count.index]
  security_groups = [aws_security_group.spool[0].id]
}

resource "aws_security_group" "spool" {
  count = length(local.efs)

  name        = "${var.name}-spool"
  description = "Spool: the streamer mounts it, it makes no calls"
  vpc_id      = local.vpc_id
  tags        = { Name = "${var.name}-spool" }
}

resource "aws_vpc_security_group_ingress_rule" "spool" {
  count = length(local.efs)

  security_group_id            = aws_security_group.spool[0].id
  description                  = "NFS from the streamer"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  referenced_security_group_id = aws_security_group.this.id
}
