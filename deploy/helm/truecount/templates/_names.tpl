{{- define "truecount.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "truecount.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "truecount.labels" -}}
{{ include "truecount.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "truecount.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "truecount.sasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end }}

{{- define "truecount.tls" -}}
{{- if has .Values.kafka.securityProtocol (list "SSL" "SASL_SSL") }}true{{ end -}}
{{- end }}

{{/* Name of the secret with the password, "" without SASL. */}}
{{- define "truecount.saslSecret" -}}
{{- if include "truecount.sasl" . -}}
{{- if .Values.kafka.sasl.existingSecret -}}
{{ .Values.kafka.sasl.existingSecret }}
{{- else -}}
{{- $_ := required "kafka.sasl: set existingSecret or password" .Values.kafka.sasl.password -}}
{{ include "truecount.fullname" . }}-kafka
{{- end -}}
{{- end -}}
{{- end }}

{{/* Name of the secret with the authorities, "" if those of the image are trusted. */}}
{{- define "truecount.caSecret" -}}
{{- if include "truecount.tls" . -}}
{{- if .Values.kafka.tls.caSecret -}}
{{ .Values.kafka.tls.caSecret }}
{{- else if .Values.kafka.tls.ca -}}
{{ include "truecount.fullname" . }}-kafka
{{- end -}}
{{- end -}}
{{- end }}
