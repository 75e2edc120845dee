"""What other services than the table are asked and told: CloudFormation, S3, tenants."""
